/* host.c: being a manager's server. */
#include "clock.h"
#include "fault.h"
#include "greeting.h"
#include "link.h"
#include "office.h"

#include <errno.h>
#include <mp/manager.h>
#include <mp/type.h>
#include <poll.h>
#include <stdlib.h>

static mp_rc_t check(const mp_manager_options_t *options)
{
    if (options->lease_ms < 0 || (options->lease_ms && options->lease_ms < 50))
        return mpx_fault(MP_EINVAL, "a lease of %d ms; at least 50", options->lease_ms);
    if (!options->key && options->key_bytes)
        return mpx_fault(MP_EINVAL, "a key of %zu bytes at NULL", options->key_bytes);
    if (!options->address)
        return MP_OK;
    mp_rc_t rc = mpx_endpoint_check(options->address, true);
    if (rc == MP_OK && !options->key && !mpx_endpoint_is_local(options->address))
        rc = mpx_fault(MP_EPERM, "%s: a manager that others than this host can reach needs a key",
                       options->address);
    return rc;
}

static mp_rc_t wait_for_stop(int stop_fd)
{
    struct pollfd fd = {.fd = stop_fd, .events = POLLIN};
    while (poll(&fd, 1, -1) < 0)
        if (errno != EINTR)
            return mpx_fault_errno("a manager's stop");
    return MP_OK;
}

mp_rc_t mp_manager_serve(const mp_manager_options_t *given,
                         void (*ready)(const char *address, void *arg), void *arg, int stop_fd)
{
    mp_manager_options_t options = given ? *given : (mp_manager_options_t){0};
    mpx_office_t *office = NULL;
    mpx_key_t key = {0};
    mp_rc_t rc = check(&options);
    if (rc == MP_OK)
        rc = mpx_key_copy(&key, options.key, options.key_bytes);
    if (rc == MP_OK && options.initializer && options.initializer(options.initarg) != 0)
        rc = mpx_fault(MP_EFAILED, "the manager's initializer failed");
    mpx_office_options_t office_options = {
        .space = {.lease_ns = options.lease_ms * MPX_MS,
                  .max_bytes = options.max_bytes,
                  .types = mp_object_types()},
        .address = options.address,
        .key = &key,
        .no_lane = options.no_lane,
    };
    if (rc == MP_OK)
        rc = mpx_office_open(&office_options, &office);
    if (rc == MP_OK) {
        if (ready)
            ready(mpx_office_address(office), arg);
        rc = wait_for_stop(stop_fd);
    }
    mpx_office_close(&office);
    mpx_key_free(&key);
    return rc;
}
