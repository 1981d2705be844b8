#include "door.h"

#include "fault.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128, FDS_MAX = 2 };

/* The door's address; false: the endpoint is not there, or has none. */
static bool door_of(const char *endpoint, struct sockaddr_un *out, socklen_t *size)
{
    const char *path = endpoint + strlen("ipc://");
    struct stat info;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length;
    if (path[0] == '@') {
        length = snprintf(out->sun_path + 1, sizeof out->sun_path - 1, "%s.lane", path + 1);
    } else {
        if (stat(path, &info) != 0 || !S_ISSOCK(info.st_mode))
            return false;
        length = snprintf(out->sun_path + 1, sizeof out->sun_path - 1, "mp-lane-%llx-%llx",
                          (unsigned long long)info.st_dev, (unsigned long long)info.st_ino);
    }
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    return (size_t)length < sizeof out->sun_path - 1;
}

bool mpx_door_is_us(int fd, pid_t *pid)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return false;
    *pid = peer.pid;
    return peer.uid == geteuid();
}

mp_rc_t mpx_door_listen(const char *endpoint, int *out)
{
    struct sockaddr_un address;
    socklen_t size;
    if (!door_of(endpoint, &address, &size))
        return mpx_fault(MP_EINVAL, "%s: no socket is there", endpoint);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return mpx_fault_errno("%s: its door", endpoint);
    mp_rc_t rc = MP_OK;
    if (bind(fd, (const struct sockaddr *)&address, size) != 0)
        rc = errno == EADDRINUSE
                 ? mpx_fault(MP_EEXIST, "%s: another process listens there", endpoint)
                 : mpx_fault_errno("%s: its door", endpoint);
    else if (listen(fd, BACKLOG) != 0)
        rc = mpx_fault_errno("%s: its door", endpoint);
    if (rc != MP_OK)
        close(fd);
    else
        *out = fd;
    return rc;
}

int mpx_door_connect(const char *endpoint)
{
    struct sockaddr_un address;
    socklen_t size;
    pid_t pid;
    if (!door_of(endpoint, &address, &size))
        return -1;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, size) == 0 && mpx_door_is_us(fd, &pid))
        return fd;
    close(fd);
    return -1;
}

typedef union rights {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
} rights_t;

bool mpx_door_send(int fd, const mpx_request_t *request, const int *fds, size_t count)
{
    mpx_request_t copy = *request;
    struct iovec text = {&copy, sizeof copy};
    rights_t rights = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (count) {
        message.msg_control = rights.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(part), fds, count * sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof copy;
}

/* All that came, also more than was expected: none must stay open unseen. */
static size_t take_rights(struct msghdr *message, int fds[FDS_MAX])
{
    const struct cmsghdr *part = CMSG_FIRSTHDR(message);
    if (!part || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (count > FDS_MAX)
        count = FDS_MAX;
    memcpy(fds, CMSG_DATA(part), count * sizeof(int));
    return count;
}

int mpx_door_receive(int fd, mpx_request_t *out, int *fds, size_t room)
{
    int came[FDS_MAX];
    struct iovec text = {out, sizeof *out};
    rights_t rights;
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    message.msg_control = rights.bytes;
    message.msg_controllen = sizeof rights.bytes;
    ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? MPX_DOOR_NOTHING : MPX_DOOR_WRONG;
    size_t count = take_rights(&message, came);
    if (got == (ssize_t)sizeof *out && count <= room) {
        memcpy(fds, came, count * sizeof(int));
        return (int)count;
    }
    for (size_t i = 0; i < count; i++)
        close(came[i]);
    return MPX_DOOR_WRONG;
}
