/* POSIX clocks, in units that do not overflow within the life of a process. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t clock_read(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

double clock_monotonic_ms(void)
{
    return (double)clock_monotonic_ns() * 1e-6;
}

uint64_t clock_cpu_ns(void)
{
    return clock_read(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t clock_unix_us(void)
{
    return (int64_t)(clock_read(CLOCK_REALTIME) / 1000u);
}

void clock_iso8601(int64_t unix_us, char *text, size_t capacity)
{
    time_t seconds = (time_t)(unix_us / 1000000);
    int micros = (int)(unix_us % 1000000);
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char day[24];
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, capacity, "%s.%06dZ", day, micros);
}
