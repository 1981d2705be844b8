#include "gather.h"

enum {
    TRY = 8,      /* commits, after which more might come; twice as many after a vain try, */
    VAIN_MAX = 4, /* so often */
    STEP = 8,     /* as a part of the target */
    WAIT_NS_MAX = 5000000
};

void mpx_gather_hear(mpx_gather_t *self)
{
    self->heard++;
}

bool mpx_gather_wants(const mpx_gather_t *self, int64_t now)
{
    return self->heard < self->target && now < self->until;
}

void mpx_gather_committed(mpx_gather_t *self, int64_t now, int64_t took_ns)
{
    uint64_t fewer = self->target - self->target / STEP - (self->target > 0);
    bool met = self->heard >= self->target;
    self->met = met ? self->met + 1 : 0;
    if (self->tries)
        self->vain = met ? 0 : self->vain + (self->vain < VAIN_MAX);
    self->target = met || self->tries || self->heard > fewer ? self->heard : fewer;
    self->tries = self->met >= (unsigned)TRY << self->vain;
    if (self->tries) {
        self->target += self->target / STEP + 1;
        self->met = 0;
    }
    self->heard = 0;
    self->until = now + (took_ns < WAIT_NS_MAX ? took_ns : WAIT_NS_MAX);
}
