/* format.h: MessagePack's first bytes (https://github.com/msgpack/msgpack/blob/master/spec.md). */
#ifndef MPX_FORMAT_H
#define MPX_FORMAT_H

#include <mp/ref.h>

enum { REF_TYPE = 1, REF_BYTES = sizeof(mp_ref_t) };

enum {
    NIL = 0xc0,
    FALSE = 0xc2,
    TRUE = 0xc3,
    BIN8 = 0xc4,
    EXT8 = 0xc7,
    FLOAT32 = 0xca,
    FLOAT64 = 0xcb,
    UINT8 = 0xcc,
    INT8 = 0xd0,
    STR8 = 0xd9,
    ARRAY16 = 0xdc,
    MAP16 = 0xde,
    FIXMAP = 0x80,
    FIXARRAY = 0x90,
    FIXSTR = 0xa0,
    NEGATIVE = 0xe0
};

#endif
