/* varint.h: reading protobuf's encoding, piece by piece. Private to wire. */
#ifndef MPX_VARINT_H
#define MPX_VARINT_H

#include <stdbool.h>
#include <stdint.h>

/* Protobuf's wire types; the others are obsolete, and refused as protobuf-c does. */
enum { MPX_VARINT = 0, MPX_FIXED64 = 1, MPX_BYTES = 2, MPX_FIXED32 = 5 };

typedef struct mpx_reader {
    const uint8_t *at;
    const uint8_t *end;
} mpx_reader_t;

/* false: cut short, or more than 64 bits. */
static inline bool mpx_varint_get(mpx_reader_t *reader, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* A field's number and wire type. false: there can be no such field. */
static inline bool mpx_tag_get(mpx_reader_t *reader, uint32_t *number, unsigned *type)
{
    uint64_t tag = 0;
    if (!mpx_varint_get(reader, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
        return false;
    *number = (uint32_t)(tag >> 3);
    *type = (unsigned)(tag & 7);
    return true;
}

/* The bytes of a field's value, which the reader passes over. For MPX_BYTES without their
 * length. false: cut short, or an unknown wire type. */
static inline bool mpx_value_get(mpx_reader_t *reader, unsigned type, mpx_reader_t *out)
{
    uint64_t size = 0;
    const uint8_t *begin = reader->at;
    switch (type) {
    case MPX_VARINT:
        if (!mpx_varint_get(reader, &size))
            return false;
        *out = (mpx_reader_t){begin, reader->at};
        return true;
    case MPX_FIXED64:
        size = 8;
        break;
    case MPX_FIXED32:
        size = 4;
        break;
    case MPX_BYTES:
        if (!mpx_varint_get(reader, &size))
            return false;
        break;
    default:
        return false;
    }
    if (size > (uint64_t)(reader->end - reader->at))
        return false;
    *out = (mpx_reader_t){reader->at, reader->at + size};
    reader->at += size;
    return true;
}

#endif
