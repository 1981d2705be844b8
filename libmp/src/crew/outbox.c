#include "outbox.h"

#include "fault.h"

#include <stdlib.h>
#include <string.h>

typedef struct mpx_waiting {
    struct mpx_waiting *next;
    size_t size;
    unsigned char bytes[];
} waiting_t;

void mpx_outbox_init(mpx_outbox_t *self)
{
    *self = (mpx_outbox_t){.waiting_end = &self->waiting};
}

static void drop_first(mpx_outbox_t *self)
{
    waiting_t *first = self->waiting;
    self->waiting = first->next;
    if (!self->waiting)
        self->waiting_end = &self->waiting;
    free(first);
}

void mpx_outbox_clear(mpx_outbox_t *self)
{
    while (self->waiting)
        drop_first(self);
    mpx_outbox_init(self);
}

static mp_rc_t put_off(mpx_outbox_t *self, mp_bytes_t head, mp_bytes_t payload)
{
    waiting_t *waiting = malloc(sizeof *waiting + head.size + payload.size);
    if (!waiting)
        return mpx_fault(MP_ENOMEM, "a message to a worker");
    waiting->next = NULL;
    waiting->size = head.size + payload.size;
    memcpy(waiting->bytes, head.data, head.size);
    if (payload.size)
        memcpy(waiting->bytes + head.size, payload.data, payload.size);
    *self->waiting_end = waiting;
    self->waiting_end = &waiting->next;
    return MP_OK;
}

/* A record that was cut is the lane's from now on, and is flushed as room comes. */
static mp_rc_t write_to(mpx_outbox_t *self, mpx_lane_t *lane, const mp_bytes_t *parts, size_t count)
{
    mp_rc_t rc = mpx_lane_write(lane, parts, count);
    if (rc == MP_EBUSY && mpx_lane_cut(lane)) {
        self->flushing = true;
        return MP_OK;
    }
    return rc;
}

mp_rc_t mpx_outbox_send(mpx_outbox_t *self, mpx_lane_t *lane, const mpx_header_t *header,
                        mp_bytes_t payload)
{
    uint8_t head[MPX_HEAD_MAX];
    mp_bytes_t parts[2] = {{head, mpx_head_pack(header, false, head)}, payload};
    if (mpx_outbox_waits(self))
        return put_off(self, parts[0], payload);
    mp_rc_t rc = write_to(self, lane, parts, 2);
    return rc == MP_EBUSY ? put_off(self, parts[0], payload) : rc;
}

mp_rc_t mpx_outbox_catch_up(mpx_outbox_t *self, mpx_lane_t *lane, bool *moved)
{
    mp_rc_t rc = MP_OK;
    *moved = false;
    if (self->flushing) {
        *moved = true;
        rc = mpx_lane_flush(lane);
        self->flushing = rc != MP_OK;
    }
    while (rc == MP_OK && self->waiting && !self->flushing) {
        mp_bytes_t part = {self->waiting->bytes, self->waiting->size};
        rc = write_to(self, lane, &part, 1);
        if (rc == MP_OK) {
            *moved = true;
            drop_first(self);
        }
    }
    return rc == MP_EBUSY ? MP_OK : rc;
}

bool mpx_outbox_waits(const mpx_outbox_t *self)
{
    return self->flushing || self->waiting;
}
