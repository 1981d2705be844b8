/* payload.c: what travels behind a head: items, values, records. */
#include "wire.h"

#include "fault.h"

#include <string.h>

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

mp_rc_t mpx_parcel_add(mpx_buf_t *out, uint32_t kind, mp_bytes_t item)
{
    uint8_t *at =
        item.size > MPX_PARCEL_MAX ? NULL : mpx_buf_reserve(out, MPX_PARCEL_HEAD + item.size);
    if (!at)
        return mpx_fault(item.size > MPX_PARCEL_MAX ? MP_ETOOLARGE : MP_ENOMEM,
                         "an item of %zu bytes", item.size);
    mpx_parcel_head(at, kind, item.size);
    if (item.size)
        memcpy(at + MPX_PARCEL_HEAD, item.data, item.size);
    out->size += MPX_PARCEL_HEAD + item.size;
    return MP_OK;
}

static void store_u64(uint8_t out[8], uint64_t value)
{
    mpx_store_u32(out, (uint32_t)value);
    mpx_store_u32(out + 4, (uint32_t)(value >> 32));
}

static uint64_t load_u64(const uint8_t *at)
{
    return mpx_load_u32(at) | (uint64_t)mpx_load_u32(at + 4) << 32;
}

mp_rc_t mpx_parcel_add_number(mpx_buf_t *out, uint64_t number)
{
    uint8_t bytes[8];
    store_u64(bytes, number);
    return mpx_parcel_add(out, 0, (mp_bytes_t){bytes, sizeof bytes});
}

mp_rc_t mpx_parcel_next_number(mp_bytes_t *rest, uint64_t *out)
{
    uint32_t kind = 0;
    mp_bytes_t item = {NULL, 0};
    mp_rc_t rc = mpx_parcel_next(rest, &kind, &item);
    if (rc == MP_OK && (kind != 0 || item.size != 8))
        rc = mpx_fault(MP_EPROTO, "an item of %zu bytes instead of a number", item.size);
    if (rc == MP_OK)
        *out = load_u64(item.data);
    return rc;
}

/* ---- operations and answers ----------------------------------------------------------------- */

void mpx_operation_head(uint8_t out[MPX_OPERATION_HEAD], const mpx_operation_t *operation)
{
    mpx_store_u32(out, (uint32_t)operation->arguments.size);
    mpx_store_u32(out + 4, operation->method | (uint32_t)operation->flags << 16);
    store_u64(out + 8, operation->object);
    mpx_store_u32(out + 16, (uint32_t)operation->wait_ms);
    mpx_store_u32(out + 20, 0);
}

mp_rc_t mpx_operation_next(mp_bytes_t *rest, mpx_operation_t *out)
{
    if (rest->size == 0)
        return MP_EOF;
    if (rest->size < MPX_OPERATION_HEAD)
        return cut_short();
    const uint8_t *head = take(rest, MPX_OPERATION_HEAD).data;
    size_t size = mpx_load_u32(head);
    uint32_t word = mpx_load_u32(head + 4);
    if (size > rest->size)
        return cut_short();
    *out = (mpx_operation_t){
        .method = (uint16_t)word,
        .flags = (uint16_t)(word >> 16),
        .object = load_u64(head + 8),
        .wait_ms = (int32_t)mpx_load_u32(head + 16),
        .arguments = take(rest, size),
    };
    if (out->flags & ~MPX_OPERATION_GUARDED)
        return mpx_fault(MP_EPROTO, "an operation has unknown flags 0x%x", out->flags);
    return MP_OK;
}

void mpx_answer_head(uint8_t out[MPX_ANSWER_HEAD], mp_rc_t rc, size_t size)
{
    mpx_store_u32(out, (uint32_t)size);
    mpx_store_u32(out + 4, (uint32_t)rc);
}

mp_rc_t mpx_answer_next(mp_bytes_t *rest, mpx_answer_t *out)
{
    if (rest->size == 0)
        return MP_EOF;
    if (rest->size < MPX_ANSWER_HEAD)
        return cut_short();
    const uint8_t *head = take(rest, MPX_ANSWER_HEAD).data;
    size_t size = mpx_load_u32(head);
    int32_t rc = (int32_t)mpx_load_u32(head + 4);
    if (rc > 0)
        return mpx_fault(MP_EPROTO, "an answer has the code %d, which is none", rc);
    if (size > rest->size)
        return cut_short();
    *out = (mpx_answer_t){(mp_rc_t)rc, take(rest, size)};
    return MP_OK;
}
