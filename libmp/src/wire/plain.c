/* plain.c: payloads that are plain bytes. */
#include "wire.h"

#include "fault.h"
#include "utf8.h"

#include <string.h>

void mpx_plain_text(mp_bytes_t bytes, char *out, size_t size)
{
    size_t length = bytes.size < size ? bytes.size : size - 1;
    if (length)
        memcpy(out, bytes.data, length);
    out[length] = '\0';
    length = strlen(out);
    mpx_utf8_launder((uint8_t *)out, length);
}

mp_rc_t mpx_output_pack(mpx_buf_t *out, const char *host, mp_bytes_t written)
{
    size_t length = strnlen(host, MPX_HOST_MAX - 1);
    mp_rc_t rc = mpx_buf_add(out, host, length);
    if (rc == MP_OK)
        rc = mpx_buf_add(out, "", 1);
    if (rc == MP_OK && written.size)
        rc = mpx_buf_add(out, written.data, written.size);
    return rc;
}

mp_rc_t mpx_output_unpack(mp_bytes_t payload, char host[MPX_HOST_MAX], mp_bytes_t *written)
{
    size_t most = payload.size < MPX_HOST_MAX ? payload.size : MPX_HOST_MAX;
    const char *end = most ? memchr(payload.data, '\0', most) : NULL;
    if (!end || payload.size > MPX_HOST_MAX + MPX_OUTPUT_MAX)
        return mpx_fault(MP_EPROTO, "an OUTPUT without a host, or with too much behind it");
    size_t length = (size_t)(end - (const char *)payload.data);
    mpx_plain_text((mp_bytes_t){payload.data, length}, host, MPX_HOST_MAX);
    *written = (mp_bytes_t){end + 1, payload.size - length - 1};
    return MP_OK;
}

mp_rc_t mpx_ship_pack(mpx_buf_t *out, const mpx_ship_t *ship)
{
    mp_rc_t rc = mpx_buf_add(out, ship->hash, sizeof ship->hash);
    return rc == MP_OK ? mpx_buf_add(out, ship->name, strnlen(ship->name, sizeof ship->name)) : rc;
}

mp_rc_t mpx_ship_unpack(mp_bytes_t payload, mpx_ship_t *out)
{
    const unsigned char *bytes = payload.data;
    if (payload.size < MPX_HASH_BYTES || payload.size - MPX_HASH_BYTES >= sizeof out->name)
        return mpx_fault(MP_EPROTO, "a SHIP has a hash of %u bytes and a short name",
                         MPX_HASH_BYTES);
    memcpy(out->hash, bytes, MPX_HASH_BYTES);
    mpx_plain_text((mp_bytes_t){bytes + MPX_HASH_BYTES, payload.size - MPX_HASH_BYTES}, out->name,
                   sizeof out->name);
    return MP_OK;
}
