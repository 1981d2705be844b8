#include "linger.h"

enum { PROBE_MIN = 64, PROBE_MAX = 1024, PROBE_US = 5 * MPX_LINGER_US, WORTH_MAX = 8 };

int64_t mpx_linger_us(mpx_linger_t *self)
{
    self->probes = self->worth < 0;
    if (self->probes && --self->until_probe > 0)
        return 0;
    return self->probes ? PROBE_US : MPX_LINGER_US;
}

void mpx_linger_learn(mpx_linger_t *self, bool came)
{
    if (came || !self->probes)
        self->probe_each = PROBE_MIN;
    else if (self->probe_each < PROBE_MAX)
        self->probe_each *= 2;
    self->until_probe = self->probe_each;
    if (self->probes)
        self->worth = came ? 0 : -1;
    else if (came)
        self->worth += self->worth < WORTH_MAX;
    else
        self->worth -= 2;
}
