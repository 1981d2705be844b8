#include "curve.h"

#include "fault.h"

#include <stdint.h>
#include <string.h>
#include <zmq.h>

bool mpx_curve_is_key(const char *text)
{
    static const char z85[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              ".-:+=^!/*?&<>()[]{}@%$#";
    uint8_t bytes[32];
    return strlen(text) == MPX_CURVE_TEXT && strspn(text, z85) == MPX_CURVE_TEXT &&
           zmq_z85_decode(bytes, text);
}

mp_rc_t mpx_curve_make(mpx_curve_t *out)
{
    *out = (mpx_curve_t){.public_key = ""};
    return zmq_curve_keypair(out->public_key, out->secret_key) == 0 ? MP_OK
                                                                    : mpx_fault_errno("a key");
}

bool mpx_curve_is_pair(const mpx_curve_t *self)
{
    char key[MPX_CURVE_TEXT + 1];
    return zmq_curve_public(key, self->secret_key) == 0 && strcmp(key, self->public_key) == 0;
}

void mpx_curve_wipe(mpx_curve_t *self)
{
    explicit_bzero(self, sizeof *self);
}
