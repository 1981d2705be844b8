/* payload.c: what travels behind a head: items, values, records. */
#include "wire.h"

#include "fault.h"

enum { LENGTH_BYTES = 4, RECORD_HEAD = 12 };

static mp_rc_t cut_short(void)
{
    return mpx_fault(MP_EPROTO, "a payload is cut short");
}

static mp_bytes_t take(mp_bytes_t *rest, size_t size)
{
    mp_bytes_t taken = {rest->data, size};
    rest->data = (const unsigned char *)rest->data + size;
    rest->size -= size;
    return taken;
}

mp_rc_t mpx_item_next(mp_bytes_t *rest, uint32_t item_bytes, mp_bytes_t *out)
{
    if (rest->size == 0)
        return MP_EOF;
    size_t size = item_bytes;
    if (item_bytes == 0) {
        if (rest->size < LENGTH_BYTES)
            return cut_short();
        size = mpx_load_u32(take(rest, LENGTH_BYTES).data);
    }
    if (size > rest->size)
        return cut_short();
    *out = take(rest, size);
    return MP_OK;
}

mp_rc_t mpx_item_add(mpx_buf_t *out, mp_bytes_t item)
{
    if (item.size > UINT32_MAX)
        return mpx_fault(MP_ETOOLARGE, "an item of %zu bytes", item.size);
    size_t before = out->size;
    mp_rc_t rc = mpx_buf_add_u32(out, (uint32_t)item.size);
    if (rc == MP_OK)
        rc = mpx_buf_add(out, item.data, item.size);
    if (rc != MP_OK)
        out->size = before;
    return rc;
}

bool mpx_items_valid(mp_bytes_t payload, uint32_t item_bytes, uint32_t count)
{
    if (item_bytes)
        return payload.size == (uint64_t)item_bytes * count;
    mp_bytes_t item;
    for (uint32_t i = 0; i < count; i++)
        if (mpx_item_next(&payload, 0, &item) != MP_OK)
            return false;
    return payload.size == 0;
}

mp_rc_t mpx_record_next(mp_bytes_t *rest, mpx_record_t *out)
{
    if (rest->size == 0)
        return MP_EOF;
    if (rest->size < RECORD_HEAD)
        return cut_short();
    const unsigned char *head = take(rest, RECORD_HEAD).data;
    int32_t rc = (int32_t)mpx_load_u32(head);
    uint64_t detail = mpx_load_u32(head + 4);
    uint64_t value = mpx_load_u32(head + 8);
    if (rc > 0)
        return mpx_fault(MP_EPROTO, "a record has the code %d, which is none", rc);
    if (detail + value > rest->size)
        return cut_short();
    out->rc = (mp_rc_t)rc;
    out->detail = take(rest, detail);
    out->value = take(rest, value);
    return MP_OK;
}

mp_rc_t mpx_record_add(mpx_buf_t *out, const mpx_record_t *record)
{
    if (record->detail.size > UINT32_MAX || record->value.size > UINT32_MAX)
        return mpx_fault(MP_ETOOLARGE, "a result of %zu bytes", record->value.size);
    size_t total = RECORD_HEAD + record->detail.size + record->value.size;
    if (!mpx_buf_reserve(out, total))
        return MP_ENOMEM;
    (void)mpx_buf_add_u32(out, (uint32_t)record->rc);
    (void)mpx_buf_add_u32(out, (uint32_t)record->detail.size);
    (void)mpx_buf_add_u32(out, (uint32_t)record->value.size);
    (void)mpx_buf_add(out, record->detail.data, record->detail.size);
    (void)mpx_buf_add(out, record->value.data, record->value.size);
    return MP_OK;
}

bool mpx_records_valid(mp_bytes_t payload, uint32_t count)
{
    mpx_record_t record;
    for (uint32_t i = 0; i < count; i++)
        if (mpx_record_next(&payload, &record) != MP_OK)
            return false;
    return payload.size == 0;
}

void mpx_parcel_head(uint8_t out[MPX_PARCEL_HEAD], uint32_t kind, size_t size)
{
    mpx_store_u32(out, (uint32_t)size | kind << 30);
}

mp_rc_t mpx_parcel_next(mp_bytes_t *rest, uint32_t *kind, mp_bytes_t *out)
{
    enum { KINDS = 3 };
    if (rest->size == 0)
        return MP_EOF;
    if (rest->size < MPX_PARCEL_HEAD)
        return cut_short();
    uint32_t word = mpx_load_u32(take(rest, MPX_PARCEL_HEAD).data);
    size_t size = word & MPX_PARCEL_MAX;
    if (size > rest->size)
        return cut_short();
    if (word >> 30 >= KINDS)
        return mpx_fault(MP_EPROTO, "an item of an unknown kind");
    *kind = word >> 30;
    *out = take(rest, size);
    return MP_OK;
}
