#include "post.h"

#include "fault.h"

#include <string.h>

typedef struct prefix {
    uint32_t offset;
    uint32_t item_bytes;
    uint64_t chunk;
} prefix_t;

enum { PREFIX_BYTES = sizeof(prefix_t), FIRST_AT = 16, VALUES_AT = 96, VALUES_MAX = 64 * 1024 };

_Static_assert(PREFIX_BYTES == 16, "messages are 16-aligned");

/* A RESULT's head without job, code, nonce and bytes: op 2, chunk and first 11 each, count
 * and item_bytes 6 each, busy_ns 11, preamble 4, padded. */
_Static_assert(PREFIX_BYTES + 64 <= VALUES_AT, "the head fits before the values");

uint32_t mpx_post_capacity(uint32_t item_bytes)
{
    return VALUES_MAX / item_bytes;
}

void *mpx_post_open(mpx_lane_t *lane, uint64_t chunk, uint64_t first, uint32_t item_bytes,
                    uint32_t count)
{
    unsigned char *record = mpx_lane_open(lane, VALUES_AT + (size_t)item_bytes * count);
    if (!record)
        return NULL;
    prefix_t prefix = {.offset = 0, .item_bytes = item_bytes, .chunk = chunk};
    memcpy(record, &prefix, sizeof prefix);
    memcpy(record + FIRST_AT, &first, sizeof first);
    return record + VALUES_AT;
}

void mpx_post_commit(mpx_lane_t *lane, void *values, const mpx_header_t *header)
{
    if (header->count == 0) {
        mpx_lane_commit(lane, 0);
        return;
    }
    uint8_t head[MPX_HEAD_MAX];
    size_t size = mpx_head_pack(header, false, head);
    unsigned char *record = (unsigned char *)values - VALUES_AT;
    prefix_t prefix = {.offset = (uint32_t)(VALUES_AT - size)};
    memcpy((unsigned char *)values - size, head, size);
    memcpy(record, &prefix, sizeof prefix);
    mpx_lane_commit(lane, VALUES_AT + (size_t)header->item_bytes * header->count);
}

mp_rc_t mpx_post_write(mpx_lane_t *lane, const mpx_header_t *header, const mp_bytes_t *parts,
                       size_t parts_count)
{
    enum { PARTS_MAX = 6 };
    uint8_t head[MPX_HEAD_MAX];
    prefix_t prefix = {.offset = PREFIX_BYTES};
    mp_bytes_t all[PARTS_MAX] = {{&prefix, sizeof prefix},
                                 {head, mpx_head_pack(header, false, head)}};
    if (parts_count > PARTS_MAX - 2)
        return MP_EINVAL;
    for (size_t i = 0; i < parts_count; i++)
        all[i + 2] = parts[i];
    return mpx_lane_write(lane, all, parts_count + 2);
}

mp_rc_t mpx_post_read(mp_bytes_t record, mpx_header_t *header, mp_bytes_t *payload)
{
    prefix_t prefix;
    if (record.size < sizeof prefix)
        return mpx_fault(MP_EPROTO, "an executor's record is cut short");
    memcpy(&prefix, record.data, sizeof prefix);
    if (prefix.offset < PREFIX_BYTES || prefix.offset > record.size || prefix.offset % 16)
        return mpx_fault(MP_EPROTO, "an executor's record has its message out of place");
    mp_bytes_t message = {(const unsigned char *)record.data + prefix.offset,
                          record.size - prefix.offset};
    bool apart = false;
    mp_rc_t rc = mpx_head_unpack(message, header, payload, &apart);
    return rc == MP_OK && apart ? mpx_fault(MP_EPROTO, "an executor's payload is missing") : rc;
}

bool mpx_post_salvage(mpx_lane_t *lane, mpx_header_t *header, mp_bytes_t *payload)
{
    mp_bytes_t record;
    uint32_t valid = 0;
    prefix_t prefix;
    uint64_t first;
    if (!mpx_lane_salvage(lane, &record, &valid) || valid == 0 || record.size < VALUES_AT)
        return false;
    memcpy(&prefix, record.data, sizeof prefix);
    memcpy(&first, (const unsigned char *)record.data + FIRST_AT, sizeof first);
    uint64_t bytes = (uint64_t)prefix.item_bytes * valid;
    if (prefix.item_bytes == 0 || bytes > record.size - VALUES_AT)
        return false;
    *header = (mpx_header_t){
        .op = MPX_OP_RESULT,
        .chunk = prefix.chunk,
        .first = first,
        .count = valid,
        .item_bytes = prefix.item_bytes,
    };
    *payload = (mp_bytes_t){(const unsigned char *)record.data + VALUES_AT, bytes};
    return true;
}
