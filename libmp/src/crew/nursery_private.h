/* nursery_private.h: what the nursery's owner says to it. Only for nursery.c, its process, and
 * nursery_owner.c. */
#ifndef MPX_NURSERY_PRIVATE_H
#define MPX_NURSERY_PRIVATE_H

#include "nursery.h"

typedef enum request_kind { SPAWN, SIGNAL, LOAD } request_kind_t;

typedef struct request {
    request_kind_t kind;
    uint32_t slot; /* LOAD: the module's number; its path is behind this */
    pid_t pid;
    int signal;
    uint32_t modules;
    bool patient;
} request_t;

/* Be the nursery, with that end of the control socket. Doesn't return. */
void mpx_nursery_serve(const mpx_crew_options_t *options, int control);

#endif
