/* curve.h: keys of ZeroMQ's CURVE, as text: 40 characters of Z85, the way that all of ZeroMQ's
 * tools write them.
 *
 * A hub that has a key speaks with nobody who hasn't one that it admits; a dial that has one speaks
 * with nobody but the owner of server_key. All that they say is encrypted. */
#ifndef MPX_CURVE_H
#define MPX_CURVE_H

#include <mp/error.h>
#include <stdbool.h>

enum { MPX_CURVE_TEXT = 40 };

typedef struct mpx_curve {
    char public_key[MPX_CURVE_TEXT + 1];
    char secret_key[MPX_CURVE_TEXT + 1];
    char server_key[MPX_CURVE_TEXT + 1]; /* of a dial: whom it must reach */
} mpx_curve_t;

/* Whether it is 40 characters of Z85 that make 32 bytes. */
bool mpx_curve_is_key(const char *text);
/* A new pair. MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_curve_make(mpx_curve_t *out);
/* Whether the public key is the secret key's. */
bool mpx_curve_is_pair(const mpx_curve_t *self);
/* Leave nothing of it in memory. */
void mpx_curve_wipe(mpx_curve_t *self);

#endif
