/* request.h: all that a child gets to know that doesn't have its parent's memory.
 *
 * A file in memory, written by a process and read by another copy of the same program.
 */
#ifndef MPX_REQUEST_H
#define MPX_REQUEST_H

#include "life.h"

#include <mp/process.h>

#define MPX_NAME_MAX 127

typedef enum mpx_purpose { MPX_RUN_TARGET, MPX_BE_FORKSERVER, MPX_BE_NURSERY } mpx_purpose_t;

/* Who a process is. */
typedef struct mpx_identity {
    char name[MPX_NAME_MAX + 1];
    char path[MPX_NAME_MAX + 1]; /* its numbers in the tree: "2", or "2:1" */
    char parent_name[MPX_NAME_MAX + 1];
    mpx_life_t parent;
    bool daemon;
} mpx_identity_t;

typedef struct mpx_request {
    uint64_t magic;
    mpx_purpose_t purpose;
    mpx_identity_t identity;
    mp_method_t method; /* the default one */
    int exit_join_ms;
    int log_level;                     /* of mp_log_to_stderr; -1: not in force */
    char target[MP_TASK_NAME_MAX + 1]; /* to run; of a fork server: to preload, or "" */
    uint64_t item_bytes;
} mpx_request_t;

/* To be closed by the caller. MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_request_write(const mpx_request_t *request, const void *item, int *fd);

/* Read and close it. *item is to be freed; zeroed room for one byte more at least.
 * MP_OK; MP_ECORRUPT it is none; MP_ENOMEM. */
mp_rc_t mpx_request_read(int fd, mpx_request_t *request, void **item);

#endif
