/* manager_private.h: a manager's handle, for the files of this layer. */
#ifndef MPX_MANAGER_PRIVATE_H
#define MPX_MANAGER_PRIVATE_H

#include "server.h"

#include <mp/manager.h>
#include <mp/process.h>

struct mp_manager {
    mpx_server_t *server;
    mp_process_t *process; /* that this process started; NULL: none */
    int stop;              /* closed to end it */
    uint64_t generation;
};

#endif
