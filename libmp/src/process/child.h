/* child.h: a process that was started, or may be: what is known of it, and its end. */
#ifndef MPX_CHILD_H
#define MPX_CHILD_H

#include "request.h"

#include <mp/process.h>
#include <pthread.h>
#include <stdatomic.h>

typedef enum mpx_kinship { MPX_CHILD, MPX_SELF, MPX_PARENT } mpx_kinship_t;

/*     NEW --start--> RUNNING --end seen--> ENDED
 *      ^                |
 *      +-- refused -- (STARTING)
 */
typedef enum mpx_phase { MPX_NEW, MPX_STARTING, MPX_RUNNING, MPX_ENDED } mpx_phase_t;

enum { MPX_EXITCODE_UNKNOWN = 255, MPX_CHILD_UNTIED = 120 };

struct mp_process {
    mpx_kinship_t role;
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

/* Let go of it; the last one frees it. */
void mpx_child_unref(mp_process_t *self);

/* MP_OK; MP_EFORKED: it is the child of another process. */
mp_rc_t mpx_child_check_owner(const mp_process_t *self);

/* Whether a descriptor became readable before the deadline. */
bool mpx_child_wait(int fd, int64_t deadline);

/* Whether it has ended; if so, how is known now. Any thread. */
bool mpx_child_reap(mp_process_t *self);

/* MP_OK, also when it has ended; MP_ESTATE; MP_EFORKED; MP_ESYSTEM. */
mp_rc_t mpx_child_signal(const mp_process_t *self, int signal);

#endif
