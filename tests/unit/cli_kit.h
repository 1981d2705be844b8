/* cli_kit.h: files for the tests of the mp command. */
#ifndef CLI_KIT_H
#define CLI_KIT_H

#include <check.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file without a name, with this in it, read from its beginning. */
static inline int file_with(const char *bytes, size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* What a file holds, ended by NUL. */
static inline const char *content_of(int fd)
{
    static char content[65536];
    ssize_t size = pread(fd, content, sizeof content - 1, 0);
    ck_assert_int_ge(size, 0);
    content[size] = '\0';
    return content;
}

static inline void feed(int fd, const char *bytes, size_t size)
{
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
}

#endif
