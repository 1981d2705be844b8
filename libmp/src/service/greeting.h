/* greeting.h: how two processes that share a key convince each other of it, without showing it.
 *
 *     visitor                                   owner
 *     KNOCK      its nonce              ----->
 *                                       <-----  CHALLENGE  its nonce, proof("mp owner", …)
 *     PROOF      proof("mp visitor", …) ----->
 *                                       <-----  ADMIT
 *
 * A proof is HMAC-SHA256 with the key over the label and both nonces. Who doesn't have the key
 * learns nothing from it, and can't use it a second time, nor send one side's proof back to it.
 * It authenticates the meeting, not the bytes that follow.
 */
#ifndef MPX_GREETING_H
#define MPX_GREETING_H

#include "wire.h"

/* The visitor's and the owner's nonce, 32 random bytes each. */
typedef struct mpx_nonces {
    uint8_t visitor[MPX_NONCE_BYTES];
    uint8_t owner[MPX_NONCE_BYTES];
} mpx_nonces_t;

/* A key, copied; `data` NULL is none, an empty one is a key. */
typedef struct mpx_key {
    unsigned char *data;
    size_t size;
} mpx_key_t;
/* MP_OK; MP_EINVAL bytes at NULL; MP_ENOMEM. */
mp_rc_t mpx_key_copy(mpx_key_t *self, const void *data, size_t size);
void mpx_key_free(mpx_key_t *self);

/* MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_greeting_nonce(uint8_t out[MPX_NONCE_BYTES]);
void mpx_greeting_owner_proof(const mpx_key_t *key, const mpx_nonces_t *nonces,
                              uint8_t out[MPX_PROOF_BYTES]);
void mpx_greeting_visitor_proof(const mpx_key_t *key, const mpx_nonces_t *nonces,
                                uint8_t out[MPX_PROOF_BYTES]);
/* In a time that doesn't depend on where they differ. */
bool mpx_greeting_same(const uint8_t a[MPX_PROOF_BYTES], const uint8_t b[MPX_PROOF_BYTES]);

#endif
