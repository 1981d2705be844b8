/* process_private.h: what the files of this layer know of a process. */
#ifndef MPX_PROCESS_PRIVATE_H
#define MPX_PROCESS_PRIVATE_H

#include "request.h"

#include <mp/process.h>
#include <pthread.h>
#include <stdatomic.h>

typedef enum mpx_role { MPX_CHILD, MPX_SELF, MPX_PARENT } mpx_role_t;

/*     NEW --start--> RUNNING --end seen--> ENDED
 *      ^                |
 *      +-- refused -- (STARTING)
 */
typedef enum mpx_phase { MPX_NEW, MPX_STARTING, MPX_RUNNING, MPX_ENDED } mpx_phase_t;

enum { MPX_EXITCODE_UNKNOWN = 255, MPX_CHILD_UNTIED = 120 };

struct mp_process {
    mpx_role_t role;
    atomic_uint users; /* handles of the program, and the list of children */
    uint64_t generation;
    mpx_identity_t identity;
    mp_method_t method;
    int (*target)(void *arg);
    void *arg;
    const mp_target_t *registered;
    void *item; /* of a registered one; by fork: the program's own, else a copy */
    bool own_item;
    _Atomic mpx_phase_t phase;
    pid_t pid;
    int pidfd;
    int status_fd;           /* of the fork server's: where the wait status comes; -1 */
    pthread_mutex_t reaping; /* guards the change to ENDED */
    int exitcode;
    struct mp_process *prev, *next; /* in the list of children */
};

/* What a start method brings back. */
typedef struct mpx_started {
    pid_t pid;
    int pidfd;
    int status_fd;
} mpx_started_t;

void mpx_process_unref(mp_process_t *self);
/* If it has ended, take note. */
bool mpx_process_reap(mp_process_t *self);
mp_rc_t mpx_process_signal(const mp_process_t *self, int signal);

/* The request that starts it elsewhere. */
void mpx_process_describe(const mp_process_t *self, mpx_request_t *out);

#endif
