#include "footprint.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* In pages. */
typedef struct memory {
    unsigned long long size, resident, shared, text, library, data;
} memory_t;

static bool read_memory(const char *path, memory_t *out)
{
    char text[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return sscanf(text, "%llu %llu %llu %llu %llu %llu", &out->size, &out->resident, &out->shared,
                  &out->text, &out->library, &out->data) == 6;
}

static const char own[] = "/proc/self/statm";

static uint64_t footprint_at(const char *path)
{
    memory_t memory;
    if (!read_memory(path, &memory) || memory.shared > memory.resident)
        return 0;
    return (uint64_t)(memory.resident - memory.shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t mpx_footprint(void)
{
    return footprint_at(own);
}

uint64_t mpx_footprint_of(pid_t pid)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    return footprint_at(path);
}

void mpx_footprint_cap(uint64_t bytes)
{
    memory_t memory;
    struct rlimit limit;
    if (!bytes || !read_memory(own, &memory) || getrlimit(RLIMIT_DATA, &limit) != 0)
        return;
    rlim_t wanted = (rlim_t)memory.data * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
    if (limit.rlim_cur == RLIM_INFINITY || wanted < limit.rlim_cur)
        limit.rlim_cur = wanted;
    (void)setrlimit(RLIMIT_DATA, &limit);
}
