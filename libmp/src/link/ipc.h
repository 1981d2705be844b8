/* ipc.h: a listening unix socket that is private, and that nobody takes over.
 *
 * libzmq's own bind unlinks whatever has the path, a live broker's socket too, and makes
 * the file with the umask's mode. So we bind ourselves: with a lock file next to the path
 * that says whether its owner lives, and with mode 0600 from the start. */
#ifndef MPX_IPC_H
#define MPX_IPC_H

#include <mp/error.h>
#include <sys/types.h>

typedef struct mpx_ipc {
    int fd;   /* listening; libzmq's once it has it */
    int lock; /* -1: none */
    dev_t device;
    ino_t inode;
    char path[108];
} mpx_ipc_t;

/* MP_OK; MP_EEXIST a live owner has the path; MP_ESYSTEM. */
mp_rc_t mpx_ipc_listen(const char *path, mpx_ipc_t *out);
/* Remove the files, if they are still ours, and let go of the lock. Not fd. */
void mpx_ipc_end(mpx_ipc_t *self);

#endif
