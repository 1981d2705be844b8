#include "office.h"

#include "clock.h"
#include "fault.h"
#include "linger.h"
#include "link.h"
#include "service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { LINGER_MS = 200, MESSAGE_BYTES = 80 << 20 };

struct mpx_office {
    mpx_space_t *space;
    mpx_hub_t *hub;
    uint32_t lease_ms;
    bool closing;           /* all goes: what one visitor held isn't for another one */
    mpx_entry_t entries[2]; /* by address; by a reference, on this host */
    mpx_served_t served;    /* for its deadlines */
};

/* ---- answers
 * ------------------------------------------------------------------------------------------------
 */

static void send_answers(mpx_office_t *self)
{
    mpx_space_effect_t effect;
    while (mpx_space_next(self->space, &effect)) {
        mpx_guest_t *guest = effect.tag;
        if (effect.over != MP_OK) {
            mpx_guest_set(guest, NULL);
            (void)mpx_fault(effect.over, "nothing was heard from this process for a lease");
            mpx_guest_dismiss(guest, effect.over);
            continue;
        }
        mpx_header_t header = {.op = MPX_OP_ANSWER,
                               .first = effect.first,
                               .count = effect.count,
                               .nonce = effect.position};
        (void)mpx_guest_send(guest, &header, effect.answers);
    }
}

/* ---- visitors
 * -------------------------------------------------------------------------------------------------
 */

static mp_rc_t on_come(void *object, mpx_guest_t *guest, mpx_admit_t *out)
{
    mpx_office_t *self = object;
    uint64_t secret;
    uint64_t number = mpx_guest_tenant(guest, &secret);
    mpx_tenant_t *tenant = number ? mpx_space_find(self->space, number, secret) : NULL;
    out->resumed = tenant != NULL;
    if (tenant) {
        mpx_space_attach(self->space, mpx_now(), tenant, guest);
    } else {
        if (getrandom(&secret, sizeof secret, 0) != sizeof secret)
            return mpx_fault_errno("random bytes");
        mp_rc_t rc =
            mpx_space_come(self->space, mpx_now(), mpx_guest_name(guest), secret, guest, &tenant);
        if (rc != MP_OK)
            return rc;
    }
    mpx_guest_set(guest, tenant);
    out->tenant = mpx_tenant_number(tenant);
    out->secret = mpx_tenant_secret(tenant);
    out->server = mpx_space_server(self->space);
    out->lease_ms = self->lease_ms;
    return MP_OK;
}

static void on_admitted(void *object, mpx_guest_t *guest)
{
    (void)guest;
    send_answers(object);
}

/* BYE is the hub's: a visitor that says it is gone as any other, but a connection that is lost over
 * a network may come back. */
static void on_gone(void *object, mpx_guest_t *guest)
{
    mpx_office_t *self = object;
    mpx_tenant_t *tenant = mpx_guest_get(guest);
    mpx_guest_set(guest, NULL);
    if (!tenant || self->closing)
        return;
    if (mpx_guest_left(guest))
        mpx_space_go(self->space, mpx_now(), tenant, true);
    else if (strcmp(mpx_guest_carrier(guest), "tcp") == 0)
        mpx_space_detach(self->space, mpx_now(), tenant);
    else
        mpx_space_go(self->space, mpx_now(), tenant, false);
    send_answers(self);
}

static mp_rc_t on_message(void *object, mpx_guest_t *guest, const mpx_header_t *header,
                          mp_bytes_t payload)
{
    mpx_office_t *self = object;
    mpx_tenant_t *tenant = mpx_guest_get(guest);
    if (header->op != MPX_OP_CALL)
        return mpx_fault(MP_EPROTO, "a %s is nothing for a manager", mpx_op_name(header->op));
    if (!tenant)
        return MP_OK; /* it is over, and being told so */
    return mpx_space_call(self->space, mpx_now(), tenant, header->first, header->count,
                          header->nonce, payload);
}

static void on_quiet(void *object)
{
    send_answers(object);
}

static const mpx_class_t class = {.come = on_come,
                                  .admitted = on_admitted,
                                  .message = on_message,
                                  .gone = on_gone,
                                  .quiet = on_quiet,
                                  .hangs_up = true};

/* ---- time
 * ------------------------------------------------------------------------------------------------------
 */

static bool serve(void *arg)
{
    (void)arg;
    return false;
}

static int64_t tick(void *arg, int64_t now)
{
    mpx_office_t *self = arg;
    if (mpx_space_deadline(self->space) <= now) {
        mpx_space_tick(self->space, now);
        send_answers(self);
    }
    return mpx_space_deadline(self->space);
}

/* ---- life
 * -------------------------------------------------------------------------------------------------------
 */

static mp_rc_t open_hub(mpx_office_t *self, const mpx_office_options_t *options)
{
    bool lanes = !options->no_lane && mpx_link_lanes_allowed();
    mpx_link_options_t link = {.no_lane = options->no_lane,
                               .max_message_bytes = MESSAGE_BYTES,
                               .linger_us = MPX_LINGER_US};
    if (options->address)
        return mpx_hub_new(options->address, &link, &self->hub);
    link.only_lanes = lanes;
    link.no_lane = !lanes;
    return mpx_hub_new_local(&link, &self->hub);
}

static void open_entries(mpx_office_t *self, const mpx_key_t *key)
{
    static const mpx_key_t no_key;
    mpx_entry_t entry = {.door = MPX_DOOR_MANAGER, .class = &class, .object = self};
    self->entries[0] = entry;
    self->entries[0].key = key;
    mpx_entry_open(&self->entries[0], self->hub);
    if (!mpx_endpoint_is_local(mpx_hub_endpoint(self->hub)))
        return;
    self->entries[1] = entry;
    self->entries[1].secret = mpx_space_server(self->space);
    self->entries[1].key = &no_key;
    mpx_entry_open(&self->entries[1], self->hub);
}

static mp_rc_t watch_time(mpx_office_t *self)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return mpx_fault_errno("a manager's timer");
    self->served =
        (mpx_served_t){.serve = serve, .ready = serve, .tick = tick, .arg = self, .fd = fd};
    mp_rc_t rc = mpx_service_add(&self->served);
    if (rc != MP_OK) {
        close(fd);
        self->served.arg = NULL;
    }
    return rc;
}

mp_rc_t mpx_office_open(const mpx_office_options_t *options, mpx_office_t **out)
{
    mpx_space_options_t space = options->space;
    struct timespec wall;
    mpx_office_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a manager");
    clock_gettime(CLOCK_REALTIME, &wall);
    space.born_at = mpx_now();
    space.wall_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / MPX_MS - space.born_at / MPX_MS;
    self->lease_ms = (uint32_t)((space.lease_ns ? space.lease_ns : 3 * MPX_S) / MPX_MS);
    mp_rc_t rc = MP_OK;
    if (getrandom(&space.server, sizeof space.server, 0) != sizeof space.server)
        rc = mpx_fault_errno("random bytes");
    if (rc == MP_OK)
        rc = mpx_space_new(&space, &self->space);
    mpx_service_enter();
    if (rc == MP_OK)
        rc = open_hub(self, options);
    if (rc == MP_OK)
        open_entries(self, options->key);
    if (rc == MP_OK)
        rc = watch_time(self);
    mpx_service_leave();
    if (rc != MP_OK)
        mpx_office_close(&self);
    else
        *out = self;
    return rc;
}

const char *mpx_office_address(const mpx_office_t *self)
{
    return mpx_hub_endpoint(self->hub);
}

void mpx_office_close(mpx_office_t **self_p)
{
    mpx_office_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    mpx_service_enter();
    self->closing = true;
    mpx_entry_close(&self->entries[0], MP_ECLOSED);
    mpx_entry_close(&self->entries[1], MP_ECLOSED);
    mpx_hub_destroy(&self->hub, LINGER_MS);
    if (self->served.arg) {
        mpx_service_remove(&self->served);
        close(self->served.fd);
    }
    mpx_space_destroy(&self->space);
    mpx_service_leave();
    free(self);
}
