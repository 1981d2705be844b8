#include "keyfile.h"

#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 16 << 20 };

static mp_rc_t fault_of(const char *path)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return mpx_fault(MP_ENOTFOUND, "%s: there is no such file", path);
    case EACCES:
    case EPERM:
        return mpx_fault(MP_EPERM, "%s: this user may not open it", path);
    case EEXIST:
        return mpx_fault(MP_EEXIST, "%s is there already", path);
    case ENOSPC:
    case EDQUOT:
        return mpx_fault(MP_ENOSPACE, "%s: the disk is full", path);
    default:
        return mpx_fault_errno("%s", path);
    }
}

static mp_rc_t check(const char *path, mpx_keyfile_kind_t kind, const struct stat *info)
{
    mode_t mode = info->st_mode & 0777;
    bool of_root = info->st_uid == 0 && geteuid() != 0;
    mode_t forbidden = kind == MPX_KEYFILE_PUBLIC ? 022 : of_root ? 037 : 077;
    if (!S_ISREG(info->st_mode))
        return mpx_fault(MP_EINVAL, "%s is no file", path);
    if (info->st_uid != 0 && info->st_uid != geteuid())
        return mpx_fault(MP_EPERM, "%s belongs to another user; copy it, or chown it", path);
    if (mode & forbidden)
        return kind == MPX_KEYFILE_PUBLIC
                   ? mpx_fault(MP_EPERM,
                               "%s: other users can write to it (mode %04o), and so let themselves "
                               "in; chmod 644 %s",
                               path, mode, path)
                   : mpx_fault(
                         MP_EPERM,
                         "%s: other users can read this secret (mode %04o); chmod 600 %s, and "
                         "if they may have, make another key",
                         path, mode, path);
    if (info->st_size > FILE_MAX)
        return mpx_fault(MP_ETOOLARGE, "%s is larger than %d bytes", path, FILE_MAX);
    return MP_OK;
}

static mp_rc_t read_all(const char *path, int fd, mpx_buf_t *out)
{
    char bytes[4096];
    for (size_t total = 0;;) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            explicit_bzero(bytes, sizeof bytes);
            return n < 0 ? fault_of(path) : MP_OK;
        }
        total += (size_t)n;
        if (total > FILE_MAX)
            return mpx_fault(MP_ETOOLARGE, "%s is larger than %d bytes", path, FILE_MAX);
        mp_rc_t rc = mpx_buf_add(out, bytes, (size_t)n);
        if (rc != MP_OK)
            return rc;
    }
}

mp_rc_t mpx_keyfile_read(const char *path, mpx_keyfile_kind_t kind, mpx_buf_t *out)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fault_of(path);
    mp_rc_t rc = fstat(fd, &info) == 0 ? check(path, kind, &info) : fault_of(path);
    /* Room for all of it at once: growing would leave copies behind. */
    if (rc == MP_OK && !mpx_buf_reserve(out, (size_t)info.st_size + 4096))
        rc = mpx_fault(MP_ENOMEM, "%s", path);
    if (rc == MP_OK)
        rc = read_all(path, fd, out);
    close(fd);
    return rc;
}

void mpx_keyfile_wipe(mpx_buf_t *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->size);
    mpx_buf_free(buf);
}

static bool write_all(int fd, mp_bytes_t bytes)
{
    const char *next = bytes.data;
    size_t left = bytes.size;
    while (left) {
        ssize_t n = write(fd, next, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        next += n;
        left -= (size_t)n;
    }
    return fsync(fd) == 0;
}

/* link() fails where something is, rename() replaces it; both in one step. */
static mp_rc_t put_in_place(const char *from, const char *path, bool replace)
{
    if (replace)
        return rename(from, path) == 0 ? MP_OK : fault_of(path);
    mp_rc_t rc = link(from, path) == 0 ? MP_OK : fault_of(path);
    (void)unlink(from);
    return rc;
}

mp_rc_t mpx_keyfile_write(const char *path, mpx_keyfile_kind_t kind, mp_bytes_t bytes, bool replace)
{
    char draft[PATH_MAX];
    mode_t mode = kind == MPX_KEYFILE_SECRET ? 0600 : 0644;
    if (snprintf(draft, sizeof draft, "%s.%ld.new", path, (long)getpid()) >= (int)sizeof draft)
        return mpx_fault(MP_EINVAL, "%.40s…: the path is too long", path);
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return errno == ENOENT ? mpx_fault(MP_ENOTFOUND, "%s: there is no such folder", path)
                               : fault_of(path);
    mp_rc_t rc = fchmod(fd, mode) == 0 && write_all(fd, bytes) ? MP_OK : fault_of(path);
    close(fd);
    if (rc == MP_OK)
        rc = put_in_place(draft, path, replace);
    if (rc != MP_OK)
        (void)unlink(draft);
    return rc;
}
