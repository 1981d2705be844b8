#include "greeting.h"

#include "fault.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

mp_rc_t mpx_key_copy(mpx_key_t *self, const void *data, size_t size)
{
    *self = (mpx_key_t){0};
    if (!data)
        return size ? mpx_fault(MP_EINVAL, "a key of %zu bytes at NULL", size) : MP_OK;
    self->data = malloc(size + 1);
    if (!self->data)
        return mpx_fault(MP_ENOMEM, "a key");
    if (size)
        memcpy(self->data, data, size);
    self->size = size;
    return MP_OK;
}

void mpx_key_free(mpx_key_t *self)
{
    if (self->data)
        sodium_memzero(self->data, self->size);
    free(self->data);
    *self = (mpx_key_t){0};
}

mp_rc_t mpx_greeting_nonce(uint8_t out[MPX_NONCE_BYTES])
{
    if (getrandom(out, MPX_NONCE_BYTES, 0) != MPX_NONCE_BYTES)
        return mpx_fault_errno("random bytes");
    return MP_OK;
}

static void prove(const mpx_key_t *key, const char *label, const uint8_t *first,
                  const uint8_t *second, uint8_t out[MPX_PROOF_BYTES])
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key->data, key->size);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)label, strlen(label));
    crypto_auth_hmacsha256_update(&state, first, MPX_NONCE_BYTES);
    crypto_auth_hmacsha256_update(&state, second, MPX_NONCE_BYTES);
    crypto_auth_hmacsha256_final(&state, out);
}

void mpx_greeting_owner_proof(const mpx_key_t *key, const mpx_nonces_t *nonces,
                              uint8_t out[MPX_PROOF_BYTES])
{
    prove(key, "mp owner", nonces->visitor, nonces->owner, out);
}

void mpx_greeting_visitor_proof(const mpx_key_t *key, const mpx_nonces_t *nonces,
                                uint8_t out[MPX_PROOF_BYTES])
{
    prove(key, "mp visitor", nonces->owner, nonces->visitor, out);
}

bool mpx_greeting_same(const uint8_t a[MPX_PROOF_BYTES], const uint8_t b[MPX_PROOF_BYTES])
{
    return sodium_memcmp(a, b, MPX_PROOF_BYTES) == 0;
}
