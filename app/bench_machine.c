/* What `mien bench` says of the machine and of the memory that it took. */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/number.h"

static const bench_instruction instructions[] = {
    {CPU_SSE41, "SSE4.1", "sse4.1"},          {CPU_AVX2, "AVX2", "avx2"},
    {CPU_AVX512, "AVX-512", "avx512"},        {CPU_AVX512_VBMI, "VBMI", "avx512_vbmi"},
    {CPU_AVX512_BF16, "BF16", "avx512_bf16"}, {CPU_AVX512_VNNI, "VNNI", "avx512_vnni"},
};

const bench_instruction *bench_processor_can(size_t index)
{
    for (size_t i = 0; i < sizeof instructions / sizeof instructions[0]; i++)
        if ((cpu_flags() & instructions[i].flag) && !index--)
            return &instructions[i];
    return NULL;
}

size_t bench_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (size_t)count;
}

/* The value of the line "key: value" that the system's file has; false where it has none. */
static bool system_value(const char *path, const char *key, char *value, size_t capacity)
{
    char line[512];
    bool found = false;
    FILE *file = fopen(path, "r");
    while (file && !found && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key)) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(value, capacity, "%.*s", (int)strcspn(colon, "\n"), colon);
        found = true;
    }
    if (file)
        fclose(file);
    return found;
}

/* Not getrusage's maximum, which a program inherits from the one that started it. */
uint64_t bench_peak_memory(void)
{
    char text[64];
    double kilobytes = 0;
    if (system_value("/proc/self/status", "VmHWM", text, sizeof text)) {
        text[strcspn(text, " ")] = '\0';
        if (!number_parse(text, 0, 1e15, &kilobytes))
            return 0;
    }
    return (uint64_t)kilobytes * 1024;
}

void bench_processor_name(char *name, size_t capacity)
{
    struct utsname machine;
    if (system_value("/proc/cpuinfo", "model name", name, capacity))
        return;
    snprintf(name, capacity, "%s", uname(&machine) ? "unknown" : machine.machine);
}
