/* ship.c: mp_pool_ship. */
#include "drive.h"
#include "shipment.h"

#include "clock.h"
#include "fault.h"

static bool is_over(const void *shipment)
{
    return ((const mpx_shipment_t *)shipment)->over;
}

static mp_rc_t verdict(const mpx_shipment_t *shipment)
{
    if (shipment->rc != MP_OK)
        return mpx_fault(shipment->rc, "%s", shipment->problem);
    return shipment->have ? MP_OK
                          : mpx_fault(MP_ENOWORKER, "%s: no worker has it", shipment->ship.name);
}

/* With the lock, which is left while it waits. */
static mp_rc_t ship(mp_pool_t *self, mpx_shipment_t *shipment, int64_t deadline)
{
    mpx_backend_t *backend = self->backend;
    // Our caller has seen that there is one. NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage)
    mp_rc_t rc = backend->ops->ship(backend, shipment);
    if (rc != MP_OK)
        return rc;
    rc = mpx_pool_wait(self, is_over, shipment, deadline);
    if (rc == MP_ETIMEDOUT)
        return mpx_fault(rc, "%s: not all workers have taken it in time", shipment->ship.name);
    return rc == MP_OK ? verdict(shipment) : rc;
}

mp_rc_t mp_pool_ship(mp_pool_t *self, const char *path, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mpx_shipment_t *shipment = NULL;
    mp_rc_t rc = mpx_pool_check(self);
    if (rc == MP_OK)
        rc = mpx_shipment_new(path, &shipment);
    if (rc != MP_OK)
        return rc;
    pthread_mutex_lock(&self->lock);
    if (self->closed || !self->backend)
        rc = mpx_fault(MP_ECLOSED, "the pool is closed");
    else if (!self->backend->ops->ship)
        rc = mpx_fault(MP_EINVAL, "modules are shipped to a broker's workers; local ones are "
                                  "given them by mp_pool_options_t.load, or ship");
    if (rc == MP_OK)
        rc = ship(self, shipment, deadline);
    else
        mpx_shipment_free(shipment);
    pthread_mutex_unlock(&self->lock);
    return rc;
}
