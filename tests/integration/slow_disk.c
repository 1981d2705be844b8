/* slow_disk: to be preloaded: while the file $MP_SLOW_DISK is there nothing reaches the disk, and
 * who waits for that waits. Then $MP_SLOW_DISK.waits is there, too. */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_for_disk(void)
{
    static const struct timespec moment = {.tv_nsec = 5000000};
    const char *path = getenv("MP_SLOW_DISK");
    char waits[PATH_MAX];
    while (path && access(path, F_OK) == 0) {
        snprintf(waits, sizeof waits, "%s.waits", path);
        int fd = open(waits, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd >= 0)
            close(fd);
        nanosleep(&moment, NULL);
    }
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    wait_for_disk();
    return (int)syscall(SYS_fdatasync, fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    wait_for_disk();
    return (int)syscall(SYS_fsync, fd);
}

__attribute__((visibility("default"))) int msync(void *at, size_t size, int flags)
{
    wait_for_disk();
    return (int)syscall(SYS_msync, at, size, flags);
}
