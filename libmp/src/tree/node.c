#include "node.h"

#include "fault.h"
#include "format.h"

#include <string.h>

enum { DEPTH_MAX = 64 };

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct shape {
    mp_tree_type_t type;
    size_t head;      /* bytes before what it holds */
    uint64_t size;    /* of what it holds: bytes */
    uint64_t members; /* nodes in it; of a dict two for each pair */
} shape_t;

static uint64_t number_at(const unsigned char *at, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | at[i];
    return number;
}

/* Those whose length stands behind the first byte. */
static bool shape_of_long(mp_bytes_t bytes, unsigned char first, shape_t *out)
{
    static const struct {
        unsigned char from, count, bytes; /* bytes of the first form's length */
        mp_tree_type_t type;
    } forms[] = {{BIN8, 3, 1, MP_TREE_BYTES},
                 {STR8, 3, 1, MP_TREE_STR},
                 {ARRAY16, 2, 2, MP_TREE_LIST},
                 {MAP16, 2, 2, MP_TREE_DICT}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (first < forms[i].from || first >= forms[i].from + forms[i].count)
            continue;
        size_t width = (size_t)forms[i].bytes << (first - forms[i].from);
        if (bytes.size < 1 + width)
            return false;
        uint64_t length = number_at((const unsigned char *)bytes.data + 1, width);
        bool many = forms[i].bytes == 2;
        *out = (shape_t){forms[i].type, 1 + width, many ? 0 : length, many ? length : 0};
        if (out->type == MP_TREE_DICT)
            out->members *= 2;
        return true;
    }
    return false;
}

static bool shape_of(mp_bytes_t bytes, shape_t *out)
{
    if (bytes.size == 0)
        return false;
    const unsigned char *at = bytes.data;
    unsigned char first = *at;
    if (first < FIXMAP || first >= NEGATIVE)
        *out = (shape_t){MP_TREE_INT, 1, 0, 0};
    else if (first < FIXARRAY)
        *out = (shape_t){MP_TREE_DICT, 1, 0, 2 * (first & 0x0fu)};
    else if (first < FIXSTR)
        *out = (shape_t){MP_TREE_LIST, 1, 0, first & 0x0fu};
    else if (first < NIL)
        *out = (shape_t){MP_TREE_STR, 1, first & 0x1fu, 0};
    else if (first == NIL)
        *out = (shape_t){MP_TREE_NULL, 1, 0, 0};
    else if (first == FALSE || first == TRUE)
        *out = (shape_t){MP_TREE_BOOL, 1, 0, 0};
    else if (first == FLOAT32 || first == FLOAT64)
        *out = (shape_t){MP_TREE_FLOAT, 1, first == FLOAT32 ? 4 : 8, 0};
    else if (first >= UINT8 && first < INT8 + 4)
        *out = (shape_t){MP_TREE_INT, 1, 1u << ((first - UINT8) & 3), 0};
    else if (first == EXT8 && bytes.size >= 3 && at[1] == REF_BYTES && at[2] == REF_TYPE)
        *out = (shape_t){MP_TREE_REF, 3, REF_BYTES, 0};
    else
        return shape_of_long(bytes, first, out);
    return true;
}

static mp_bytes_t behind(mp_bytes_t bytes, size_t size)
{
    return (mp_bytes_t){(const unsigned char *)bytes.data + size, bytes.size - size};
}

mp_rc_t mpx_node_next(mp_bytes_t *rest, mp_bytes_t *node, size_t *refs)
{
    uint64_t left[DEPTH_MAX + 1] = {1}; /* nodes to come, by depth */
    size_t depth = 0;
    mp_bytes_t at = *rest;
    if (rest->size == 0)
        return MP_EOF;
    for (;;) {
        shape_t shape;
        if (!shape_of(at, &shape) || shape.size > at.size - shape.head)
            return mpx_fault(MP_EPROTO, "not a value tree: byte %zu", rest->size - at.size);
        at = behind(at, shape.head + (size_t)shape.size);
        if (shape.members > at.size)
            return mpx_fault(MP_EPROTO, "a value tree claims more than it has");
        if (refs && shape.type == MP_TREE_REF)
            ++*refs;
        left[depth]--;
        if (shape.members && depth == DEPTH_MAX)
            return mpx_fault(MP_ETOOLARGE, "a value tree is more than %d deep", DEPTH_MAX);
        if (shape.members)
            left[++depth] = shape.members;
        while (depth > 0 && left[depth] == 0)
            depth--;
        if (depth == 0 && left[0] == 0)
            break;
    }
    *node = (mp_bytes_t){rest->data, rest->size - at.size};
    *rest = at;
    return MP_OK;
}

mp_rc_t mpx_node_check(mp_bytes_t node, size_t *refs)
{
    mp_bytes_t whole;
    mp_rc_t rc = mpx_node_next(&node, &whole, refs);
    if (rc == MP_EOF || (rc == MP_OK && node.size))
        return mpx_fault(MP_EPROTO, "not one whole value tree");
    return rc;
}

void mpx_node_refs(mp_bytes_t node, void (*each)(void *arg, const mp_ref_t *ref), void *arg)
{
    shape_t shape;
    for (; shape_of(node, &shape); node = behind(node, shape.head + (size_t)shape.size)) {
        if (shape.type != MP_TREE_REF)
            continue;
        mp_ref_t ref;
        const unsigned char *at = (const unsigned char *)node.data + shape.head;
        for (size_t i = 0; i < REF_BYTES / 8; i++)
            ref.word[i] = number_at(at + 8 * i, 8);
        each(arg, &ref);
    }
}

mp_tree_type_t mpx_node_type(mp_bytes_t node)
{
    shape_t shape;
    return shape_of(node, &shape) ? shape.type : MP_TREE_NULL;
}

bool mpx_node_is_scalar(mp_bytes_t node)
{
    shape_t shape;
    return shape_of(node, &shape) && shape.type <= MP_TREE_BYTES;
}

bool mpx_node_enter(mp_bytes_t *node, mp_tree_type_t type, size_t *count)
{
    shape_t shape;
    if (!shape_of(*node, &shape) || shape.type != type)
        return false;
    *count = (size_t)(type == MP_TREE_DICT ? shape.members / 2 : shape.members);
    *node = behind(*node, shape.head);
    return true;
}

bool mpx_node_int(mp_bytes_t node, int64_t *out)
{
    shape_t shape;
    if (!shape_of(node, &shape) || shape.type != MP_TREE_INT)
        return false;
    const unsigned char *at = node.data;
    unsigned char first = *at;
    if (shape.size == 0) {
        *out = first < FIXMAP ? first : (int64_t)first - 256;
        return true;
    }
    uint64_t bits = number_at(at + 1, (size_t)shape.size);
    unsigned width = 8u * (unsigned)shape.size;
    if (first < INT8 && bits > INT64_MAX)
        return false; /* trees have no larger ints */
    if (first >= INT8 && width < 64 && bits >> (width - 1))
        bits |= UINT64_MAX << width;
    memcpy(out, &bits, sizeof *out);
    return true;
}

bool mpx_node_float(mp_bytes_t node, double *out)
{
    shape_t shape;
    int64_t integer;
    if (mpx_node_int(node, &integer)) {
        *out = (double)integer;
        return true;
    }
    if (!shape_of(node, &shape) || shape.type != MP_TREE_FLOAT)
        return false;
    uint64_t bits = number_at((const unsigned char *)node.data + 1, (size_t)shape.size);
    if (shape.size == 4) {
        uint32_t low = (uint32_t)bits;
        float single;
        memcpy(&single, &low, sizeof single);
        *out = single;
    } else {
        memcpy(out, &bits, sizeof *out);
    }
    return true;
}

bool mpx_node_text(mp_bytes_t node, mp_bytes_t *out)
{
    shape_t shape;
    if (!shape_of(node, &shape) || (shape.type != MP_TREE_STR && shape.type != MP_TREE_BYTES))
        return false;
    *out = behind(node, shape.head);
    return true;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* A first byte and a number of 0, 1, 2, 4 or 8 bytes behind it, the highest first. */
static mp_rc_t put_head(mpx_buf_t *out, int first, uint64_t number, int bytes)
{
    unsigned char head[MPX_NODE_HEAD_MAX] = {(unsigned char)first};
    for (int i = 0; i < bytes; i++)
        head[1 + i] = (unsigned char)(number >> 8 * (bytes - 1 - i));
    return mpx_buf_add(out, head, (size_t)bytes + 1);
}

/* Lengths: in the first byte below `fix`, else of 1, 2 or 4 bytes with first bytes one apart.
 * first8  0: there is no form with 1 byte */
static mp_rc_t put_length(mpx_buf_t *out, size_t size, size_t fix, int fixed, int first8,
                          int first16)
{
    if (size < fix)
        return put_head(out, fixed | (int)size, 0, 0);
    if (first8 && size <= UINT8_MAX)
        return put_head(out, first8, size, 1);
    if (size <= UINT16_MAX)
        return put_head(out, first16, size, 2);
    if (size <= UINT32_MAX)
        return put_head(out, first16 + 1, size, 4);
    return MP_ETOOLARGE;
}

mp_rc_t mpx_node_add_null(mpx_buf_t *out)
{
    return put_head(out, NIL, 0, 0);
}

mp_rc_t mpx_node_add_bool(mpx_buf_t *out, bool truth)
{
    return put_head(out, truth ? TRUE : FALSE, 0, 0);
}

mp_rc_t mpx_node_add_int(mpx_buf_t *out, int64_t n)
{
    if (n >= -32 && n <= 127)
        return put_head(out, (unsigned char)n, 0, 0);
    if (n >= 0) {
        int step = n <= UINT8_MAX ? 0 : n <= UINT16_MAX ? 1 : n <= UINT32_MAX ? 2 : 3;
        return put_head(out, UINT8 + step, (uint64_t)n, 1 << step);
    }
    int step = n >= INT8_MIN ? 0 : n >= INT16_MIN ? 1 : n >= INT32_MIN ? 2 : 3;
    return put_head(out, INT8 + step, (uint64_t)n, 1 << step);
}

mp_rc_t mpx_node_add_float(mpx_buf_t *out, double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    return put_head(out, FLOAT64, bits, 8);
}

mp_rc_t mpx_node_add_str(mpx_buf_t *out, const char *text, size_t size)
{
    mp_rc_t rc = put_length(out, size, 32, FIXSTR, STR8, STR8 + 1);
    return rc == MP_OK ? mpx_buf_add(out, text, size) : rc;
}

mp_rc_t mpx_node_add_bytes(mpx_buf_t *out, const void *data, size_t size)
{
    mp_rc_t rc = put_length(out, size, 0, 0, BIN8, BIN8 + 1);
    return rc == MP_OK ? mpx_buf_add(out, data, size) : rc;
}

mp_rc_t mpx_node_add_list(mpx_buf_t *out, size_t count)
{
    return put_length(out, count, 16, FIXARRAY, 0, ARRAY16);
}

mp_rc_t mpx_node_add_dict(mpx_buf_t *out, size_t pairs)
{
    return put_length(out, pairs, 16, FIXMAP, 0, MAP16);
}

mp_rc_t mpx_node_add_ref(mpx_buf_t *out, const mp_ref_t *ref)
{
    unsigned char bytes[MPX_REF_NODE_BYTES] = {EXT8, REF_BYTES, REF_TYPE};
    for (size_t i = 0; i < REF_BYTES; i++)
        bytes[3 + i] = (unsigned char)(ref->word[i / 8] >> 8 * (7 - i % 8));
    return mpx_buf_add(out, bytes, sizeof bytes);
}
