/* call.h: the context of a running call, from the executor's side. */
#ifndef MPX_CALL_H
#define MPX_CALL_H

#include "buf.h"
#include <mp/task.h>
#include <stdbool.h>

#define MPX_CALL_MESSAGE_MAX 1024

/* Whoever runs the call. */
typedef struct mpx_call_runner {
    void *self;
    struct mpx_lane *lane; /* for calls of its own; NULL: it can't have any */
    uint32_t workers;      /* who may run them */
    int priority;          /* of the running call */
    /* MP_OK; MP_ECANCELLED; MP_ETIMEDOUT past the soft limit. */
    mp_rc_t (*stopping)(void *self);
    /* The call says how far it is. */
    void (*progress)(void *self, uint64_t done, uint64_t total, const char *text);
} mpx_call_runner_t;

struct mp_call {
    const mpx_call_runner_t *runner;
    uint64_t index;
    int attempt;
    int64_t deadline; /* MPX_NEVER: none */
    bool writes;      /* a task over bytes: mp_call_write is allowed */
    mpx_buf_t value;  /* what it has written; kept from call to call for its memory */
    char message[MPX_CALL_MESSAGE_MAX];
};

/* Ready the context for the next call. */
void mpx_call_begin(mp_call_t *self, uint64_t index, int attempt, bool writes);
void mpx_call_free(mp_call_t *self);

enum { MPX_CALL_CODE_TEXT = 64 };
/* What is said of a call that failed without a word of its own: the code that it returned, and its
 * name if it is one of ours. */
void mpx_call_print_code(int code, char out[MPX_CALL_CODE_TEXT]);

#endif
