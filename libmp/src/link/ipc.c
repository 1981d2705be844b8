#include "ipc.h"

#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static mp_rc_t take_lock(mpx_ipc_t *self)
{
    char path[sizeof self->path + 8];
    snprintf(path, sizeof path, "%s.lock", self->path);
    self->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (self->lock < 0)
        return mpx_fault_errno("ipc://%s: its lock file", self->path);
    if (flock(self->lock, LOCK_EX | LOCK_NB) == 0)
        return MP_OK;
    mp_rc_t rc = errno == EWOULDBLOCK
                     ? mpx_fault(MP_EEXIST, "ipc://%s: another process listens there", self->path)
                     : mpx_fault_errno("ipc://%s: its lock file", self->path);
    close(self->lock);
    self->lock = -1;
    return rc;
}

static mp_rc_t remove_stale(const mpx_ipc_t *self)
{
    struct stat info;
    if (lstat(self->path, &info) != 0)
        return MP_OK;
    if (!S_ISSOCK(info.st_mode))
        return mpx_fault(MP_EEXIST, "ipc://%s: there is something that is no socket", self->path);
    if (unlink(self->path) != 0)
        return mpx_fault_errno("ipc://%s: removing a dead owner's socket", self->path);
    return MP_OK;
}

static mp_rc_t bind_private(mpx_ipc_t *self)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", self->path);
    self->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat info;
    /* fchmod before bind decides the file's mode, whatever the umask. */
    if (self->fd < 0 || fchmod(self->fd, 0600) != 0 ||
        bind(self->fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(self->fd, BACKLOG) != 0 || lstat(self->path, &info) != 0)
        return mpx_fault_errno("ipc://%s", self->path);
    self->device = info.st_dev;
    self->inode = info.st_ino;
    return MP_OK;
}

mp_rc_t mpx_ipc_listen(const char *path, mpx_ipc_t *out)
{
    mpx_ipc_t self = {.fd = -1, .lock = -1};
    snprintf(self.path, sizeof self.path, "%s", path);
    mp_rc_t rc = take_lock(&self);
    if (rc == MP_OK)
        rc = remove_stale(&self);
    if (rc == MP_OK)
        rc = bind_private(&self);
    if (rc != MP_OK) {
        if (self.fd >= 0)
            close(self.fd);
        mpx_ipc_end(&self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

void mpx_ipc_end(mpx_ipc_t *self)
{
    if (self->lock < 0)
        return;
    struct stat info;
    char path[sizeof self->path + 8];
    snprintf(path, sizeof path, "%s.lock", self->path);
    if (self->inode && lstat(self->path, &info) == 0 && info.st_dev == self->device &&
        info.st_ino == self->inode)
        unlink(self->path);
    /* Before the lock is let go: a successor makes its own file. */
    if (self->inode)
        unlink(path);
    close(self->lock);
    self->lock = -1;
}
