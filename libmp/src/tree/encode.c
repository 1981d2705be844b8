/* encode.c: MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md).
 *
 * Written by hand, because bytes come from strangers: an array or map that claims more items
 * than there are bytes left is refused before anything is allocated for it, and so is one that
 * is too deep.
 */
#include "tree.h"

#include "buf.h"
#include "fault.h"
#include "format.h"
#include "node.h"
#include "unicode.h"

#include <stdlib.h>
#include <string.h>

static mp_tree_limits_t fill_in(const mp_tree_limits_t *given)
{
    mp_tree_limits_t limits = given ? *given : (mp_tree_limits_t){0};
    if (!limits.bytes)
        limits.bytes = MP_VALUE_BYTES_MAX;
    if (!limits.depth)
        limits.depth = 64;
    if (limits.depth > MPX_TREE_DEPTH_MAX)
        limits.depth = MPX_TREE_DEPTH_MAX;
    if (!limits.nodes)
        limits.nodes = (size_t)4 << 20;
    return limits;
}

/* ---- out ------------------------------------------------------------------------------------ */

typedef struct encoder {
    mpx_buf_t out;
    size_t depth_left;
    size_t nodes_left;
} encoder_t;

static mp_rc_t put(encoder_t *self, const mp_tree_t *tree);

static mp_rc_t put_slots(encoder_t *self, const mp_tree_t *tree)
{
    size_t count = tree->as.many.count;
    bool is_list = tree->type == MP_TREE_LIST;
    if (self->depth_left == 0)
        return MP_ETOOLARGE;
    mp_rc_t rc =
        is_list ? mpx_node_add_list(&self->out, count) : mpx_node_add_dict(&self->out, count);
    self->depth_left--;
    for (size_t i = 0; rc == MP_OK && i < count; i++) {
        const mpx_tree_slot_t *slot = &tree->as.many.slots[i];
        if (slot->key)
            rc = mpx_node_add_str(&self->out, slot->key, slot->key_size);
        if (rc == MP_OK)
            rc = put(self, slot->node);
    }
    self->depth_left++;
    return rc;
}

static mp_rc_t put(encoder_t *self, const mp_tree_t *tree)
{
    if (self->nodes_left-- == 0)
        return MP_ETOOLARGE;
    switch (tree->type) {
    case MP_TREE_NULL:
        return mpx_node_add_null(&self->out);
    case MP_TREE_BOOL:
        return mpx_node_add_bool(&self->out, tree->as.truth);
    case MP_TREE_INT:
        return mpx_node_add_int(&self->out, tree->as.integer);
    case MP_TREE_FLOAT:
        return mpx_node_add_float(&self->out, tree->as.real);
    case MP_TREE_STR:
        return mpx_node_add_str(&self->out, tree->as.bytes.data, tree->as.bytes.size);
    case MP_TREE_BYTES:
        return mpx_node_add_bytes(&self->out, tree->as.bytes.data, tree->as.bytes.size);
    case MP_TREE_LIST:
    case MP_TREE_DICT:
        return put_slots(self, tree);
    case MP_TREE_REF:
        return mpx_node_add_ref(&self->out, &tree->as.ref);
    }
    return MP_EINVAL;
}

mp_rc_t mp_tree_encode(const mp_tree_t *self, const mp_tree_limits_t *given, void **data,
                       size_t *size)
{
    if (!self)
        return mpx_fault(MP_EINVAL, "there is no tree to encode");
    mp_tree_limits_t limits = fill_in(given);
    encoder_t encoder = {
        .out.max = limits.bytes, .depth_left = limits.depth, .nodes_left = limits.nodes};
    mp_rc_t rc = put(&encoder, self);
    if (rc != MP_OK) {
        mpx_buf_free(&encoder.out);
        return mpx_fault(rc, "encoding a tree: at most %zu bytes, %zu nodes, %zu deep",
                         limits.bytes, limits.nodes, limits.depth);
    }
    *data = encoder.out.data;
    *size = encoder.out.size;
    return MP_OK;
}

/* ---- in ------------------------------------------------------------------------------------- */

typedef struct decoder {
    const unsigned char *at;
    size_t left;
    size_t depth_left;
    size_t nodes_left;
    mp_rc_t rc; /* why it could not go on */
} decoder_t;

static mp_tree_t *stop(decoder_t *self, mp_rc_t rc)
{
    if (self->rc == MP_OK)
        self->rc = rc;
    return NULL;
}

/* NULL: so many bytes are not there. */
static const unsigned char *take(decoder_t *self, size_t size)
{
    if (size > self->left) {
        (void)stop(self, MP_EPROTO);
        return NULL;
    }
    const unsigned char *at = self->at;
    self->at += size;
    self->left -= size;
    return at;
}

static bool take_number(decoder_t *self, size_t bytes, uint64_t *out)
{
    const unsigned char *at = take(self, bytes);
    *out = 0;
    for (size_t i = 0; at && i < bytes; i++)
        *out = *out << 8 | at[i];
    return at != NULL;
}

/* One that was given an owner's memory, or none. */
static mp_tree_t *made(decoder_t *self, mp_tree_t *tree)
{
    return tree ? tree : stop(self, MP_ENOMEM);
}

static mp_tree_t *take_text(decoder_t *self, mp_tree_type_t type, uint64_t size)
{
    const char *text = (const char *)take(self, size);
    if (!text)
        return NULL;
    if (type == MP_TREE_STR && !mpx_unicode_valid(text, size))
        return stop(self, MP_EPROTO);
    return made(self, mpx_tree_text(type, text, size));
}

static mp_tree_t *take_int(decoder_t *self, unsigned char first)
{
    uint64_t bits;
    bool is_signed = first >= INT8;
    unsigned width = 8u << (first - (is_signed ? INT8 : UINT8));
    if (!take_number(self, width / 8, &bits))
        return NULL;
    if (!is_signed && bits > INT64_MAX)
        return stop(self, MP_EPROTO); /* trees have no larger ints */
    if (is_signed && width < 64 && bits >> (width - 1))
        bits |= UINT64_MAX << width;
    int64_t integer;
    memcpy(&integer, &bits, sizeof integer);
    return made(self, mp_tree_int(integer));
}

static mp_tree_t *take_float(decoder_t *self, unsigned char first)
{
    uint64_t bits;
    double real = 0;
    if (!take_number(self, first == FLOAT32 ? 4 : 8, &bits))
        return NULL;
    if (first == FLOAT32) {
        uint32_t low = (uint32_t)bits;
        float single;
        memcpy(&single, &low, sizeof single);
        real = single;
    } else {
        memcpy(&real, &bits, sizeof real);
    }
    return made(self, mp_tree_float(real));
}

static mp_tree_t *take_ref(decoder_t *self)
{
    mp_ref_t ref;
    const unsigned char *head = take(self, 2);
    if (!head)
        return NULL;
    if (head[0] != REF_BYTES || head[1] != REF_TYPE)
        return stop(self, MP_EPROTO);
    for (size_t i = 0; i < REF_BYTES / 8; i++)
        if (!take_number(self, 8, &ref.word[i]))
            return NULL;
    return made(self, mp_tree_ref(&ref));
}

static mp_tree_t *take_tree(decoder_t *self);

/* As a view: the dict copies it. NULL: none, or not one that a dict may have. */
static const char *take_key(decoder_t *self, size_t *size)
{
    uint64_t length = 0;
    const unsigned char *first = take(self, 1);
    if (!first)
        return NULL;
    if ((*first & 0xe0) == FIXSTR)
        length = *first & 0x1f;
    else if (*first < STR8 || *first > STR8 + 2)
        return (const char *)stop(self, MP_EPROTO);
    else if (!take_number(self, (size_t)1 << (*first - STR8), &length))
        return NULL;
    const char *key = (const char *)take(self, length);
    if (key && (memchr(key, 0, length) || !mpx_unicode_valid(key, length)))
        return (const char *)stop(self, MP_EPROTO);
    *size = length;
    return key;
}

static bool take_slot(decoder_t *self, mp_tree_t *tree)
{
    size_t size = 0;
    const char *key = NULL;
    if (tree->type == MP_TREE_DICT && !(key = take_key(self, &size)))
        return false;
    mp_tree_t *node = take_tree(self);
    if (!node)
        return false;
    mp_rc_t rc = key ? mpx_tree_set_n(tree, key, size, node) : mp_tree_append(tree, node);
    if (rc != MP_OK)
        (void)stop(self, rc);
    return rc == MP_OK;
}

/* Every item has a byte at least, and a key one more. */
static mp_tree_t *take_slots(decoder_t *self, mp_tree_type_t type, uint64_t count)
{
    if (count > self->left / (type == MP_TREE_DICT ? 2 : 1))
        return stop(self, MP_EPROTO);
    if (self->depth_left == 0 || count > self->nodes_left)
        return stop(self, MP_ETOOLARGE);
    mp_tree_t *tree = made(self, mpx_tree_new(type));
    bool fine = tree != NULL;
    self->depth_left--;
    for (uint64_t i = 0; fine && i < count; i++)
        fine = take_slot(self, tree);
    self->depth_left++;
    if (!fine && tree)
        mp_tree_destroy(&tree);
    return tree;
}

/* Those whose length stands behind the first byte, in 1, 2 or 4 bytes. */
static mp_tree_t *take_long(decoder_t *self, unsigned char first)
{
    static const struct {
        unsigned char from, count;
        unsigned char bytes; /* of the first form's length */
        mp_tree_type_t type;
    } forms[] = {{BIN8, 3, 1, MP_TREE_BYTES},
                 {STR8, 3, 1, MP_TREE_STR},
                 {ARRAY16, 2, 2, MP_TREE_LIST},
                 {MAP16, 2, 2, MP_TREE_DICT}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        uint64_t length;
        if (first < forms[i].from || first >= forms[i].from + forms[i].count)
            continue;
        if (!take_number(self, (size_t)forms[i].bytes << (first - forms[i].from), &length))
            return NULL;
        return forms[i].bytes == 1 ? take_text(self, forms[i].type, length)
                                   : take_slots(self, forms[i].type, length);
    }
    return stop(self, MP_EPROTO);
}

static mp_tree_t *take_tree(decoder_t *self)
{
    const unsigned char *at = take(self, 1);
    if (!at)
        return NULL;
    unsigned char first = *at;
    if (self->nodes_left-- == 0)
        return stop(self, MP_ETOOLARGE);
    if (first < FIXMAP)
        return made(self, mp_tree_int(first));
    if (first >= NEGATIVE)
        return made(self, mp_tree_int((int64_t)first - 256));
    if (first < FIXARRAY)
        return take_slots(self, MP_TREE_DICT, first & 0x0f);
    if (first < FIXSTR)
        return take_slots(self, MP_TREE_LIST, first & 0x0f);
    if (first < NIL)
        return take_text(self, MP_TREE_STR, first & 0x1f);
    if (first == NIL)
        return made(self, mp_tree_null());
    if (first == FALSE || first == TRUE)
        return made(self, mp_tree_bool(first == TRUE));
    if (first == FLOAT32 || first == FLOAT64)
        return take_float(self, first);
    if (first >= UINT8 && first < INT8 + 4)
        return take_int(self, first);
    return first == EXT8 ? take_ref(self) : take_long(self, first);
}

mp_rc_t mp_tree_decode(const void *data, size_t size, const mp_tree_limits_t *given,
                       mp_tree_t **out)
{
    mp_tree_limits_t limits = fill_in(given);
    if (size > limits.bytes)
        return mpx_fault(MP_ETOOLARGE, "a tree of %zu bytes; at most %zu", size, limits.bytes);
    decoder_t decoder = {
        .at = data, .left = size, .depth_left = limits.depth, .nodes_left = limits.nodes};
    mp_tree_t *tree = take_tree(&decoder);
    if (tree && decoder.left > 0) {
        mp_tree_destroy(&tree);
        (void)stop(&decoder, MP_EPROTO);
    }
    if (!tree)
        return mpx_fault(decoder.rc, "decoding a tree: byte %zu of %zu", size - decoder.left, size);
    *out = tree;
    return MP_OK;
}
