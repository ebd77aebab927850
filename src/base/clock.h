/* Time: a monotonic clock for durations and deadlines, the wall clock for time stamps. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/** Nanoseconds of a clock that never jumps back. */
uint64_t clock_monotonic_ns(void);
double clock_monotonic_ms(void);
/** Nanoseconds of CPU time that this process has used. */
uint64_t clock_cpu_ns(void);
/** Microseconds since 1970 UTC. */
int64_t clock_unix_us(void);
/** "2026-11-20T21:04:05.123456Z" of clock_unix_us()-style time; `text` holds at least 32 bytes. */
void clock_iso8601(int64_t unix_us, char *text, size_t capacity);

#endif
