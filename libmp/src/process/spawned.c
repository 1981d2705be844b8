#include "spawned.h"

#include "bootstrap.h"
#include "fault.h"
#include "forkserver.h"
#include "lifeline.h"
#include "spawn.h"

#include <stdlib.h>

static mp_rc_t run_target(const mpx_request_t *request, void *item, int *status)
{
    const mp_target_t *target = mp_target_find(request->target);
    if (!target || target->item.bytes != request->item_bytes)
        return mpx_fault(MP_ENOTFOUND, "%s: this program has no target '%s'",
                         request->identity.name, request->target);
    *status = target->run(item, request->item_bytes) & 0xff;
    return MP_OK;
}

mp_rc_t mpx_spawned_main(int *status, int (*nursery)(const void *item, size_t size, int control))
{
    mpx_request_t request;
    void *item = NULL;
    mp_rc_t rc = mpx_request_read(MPX_SPAWN_REQUEST, &request, &item);
    if (rc != MP_OK)
        return mpx_fault(rc, MPX_SPAWN_ARGUMENT " is for processes that libmp starts");
    *status = MPX_CHILD_UNTIED;
    if (mpx_lifeline_join(MPX_SPAWN_LIFELINE)) {
        mpx_bootstrap_inherit(&request);
        mpx_bootstrap_become(&request.identity);
        if (request.purpose == MPX_BE_FORKSERVER)
            *status = mpx_forkserver_main(request.target);
        else if (request.purpose == MPX_BE_NURSERY)
            *status = nursery(item, request.item_bytes, MPX_SPAWN_CONTROL);
        else
            rc = run_target(&request, item, status);
    }
    free(item);
    return rc;
}
