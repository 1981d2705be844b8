/* door.h: a unix socket in the abstract namespace at which processes of one user and host hand
 * each other descriptors. Its name is derived from an ipc endpoint's. The namespace belongs to
 * everybody, so both sides look at the other's user id.
 */
#ifndef MPX_DOOR_H
#define MPX_DOOR_H

#include <mp/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MPX_DOOR_KNOCK UINT64_C(0x316b636f6e6b706d) /* "mpknock1": here are two of a lane */
#define MPX_DOOR_FETCH UINT64_C(0x3168637465667070) /* "ppfetch1": send me that one */
enum { MPX_DOOR_NOTHING = -2, MPX_DOOR_WRONG = -1 };

typedef struct mpx_request {
    uint64_t magic;
    uint64_t ticket; /* FETCH */
    uint64_t secret;
} mpx_request_t;

/* MP_OK; MP_EINVAL the endpoint has no socket; MP_EEXIST; MP_ESYSTEM. */
mp_rc_t mpx_door_listen(const char *endpoint, int *fd);
/* A connection to the door; -1: there is none of this user's. */
int mpx_door_connect(const char *endpoint);
/* Whether the other side is this user's, and its process. */
bool mpx_door_is_us(int fd, pid_t *pid);

/* With up to two descriptors, which stay the caller's. */
bool mpx_door_send(int fd, const mpx_request_t *request, const int *fds, size_t count);
/* How many descriptors came with it, at most `room`; MPX_DOOR_NOTHING: it isn't there yet;
 * MPX_DOOR_WRONG: the end, or no request. */
int mpx_door_receive(int fd, mpx_request_t *out, int *fds, size_t room);

#endif
