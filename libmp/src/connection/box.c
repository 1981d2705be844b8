#include "box.h"

#include "fault.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef union rights {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
} rights_t;

static bool put_token(int box, const mpx_token_t *token, const int *fds, int count)
{
    mpx_token_t copy = *token;
    struct iovec text = {&copy, sizeof copy};
    rights_t rights = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    message.msg_control = rights.bytes;
    message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(part), fds, (size_t)count * sizeof(int));
    return sendmsg(box, &message, MSG_NOSIGNAL) == (ssize_t)sizeof copy;
}

/* The writing side is closed at once: an empty box reads as its end. */
mp_rc_t mpx_box_new(const mpx_token_t *token, const int *fds, int fds_count, int *box)
{
    int pair[2];
    mp_rc_t rc = MP_OK;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        rc = mpx_fault_errno("an end of a pipe");
    } else {
        if (!put_token(pair[1], token, fds, fds_count)) {
            rc = mpx_fault_errno("an end of a pipe");
            close(pair[0]);
        }
        close(pair[1]);
    }
    for (int i = 0; i < fds_count; i++)
        close(fds[i]);
    if (rc == MP_OK)
        *box = pair[0];
    return rc;
}

mp_rc_t mpx_box_take(int *box, mpx_token_t *token, int fds[2])
{
    struct iovec text = {token, sizeof *token};
    rights_t rights;
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    message.msg_control = rights.bytes;
    message.msg_controllen = sizeof rights.bytes;
    ssize_t got;
    do
        got = recvmsg(*box, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return mpx_fault(MP_EBUSY, "another process has this end of the pipe");
    const struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    if (got != (ssize_t)sizeof *token || !part || part->cmsg_type != SCM_RIGHTS)
        return mpx_fault_errno("an end of a pipe: no descriptor is free, or");
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    fds[0] = fds[1] = -1;
    memcpy(fds, CMSG_DATA(part), (count < 2 ? count : 2) * sizeof(int));
    close(*box);
    *box = -1;
    return MP_OK;
}
