/* json.c: trees as text, for people. Written here, so that numbers are as short as they can be;
 * read by jansson. */
#include "tree.h"

#include "buf.h"
#include "fault.h"

#include <inttypes.h>
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What JSON has no type for: a dict of one such key. */
static const char bytes_key[] = "$bytes";
static const char ref_key[] = "$ref";
static const char float_key[] = "$float";

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- out ------------------------------------------------------------------------------------ */

typedef struct writer {
    mpx_buf_t out;
    int indent;
} writer_t;

static mp_rc_t write_text(writer_t *self, const char *text)
{
    return mpx_buf_add(&self->out, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static mp_rc_t write_format(writer_t *self,
                                                                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mp_rc_t rc = mpx_buf_vprintf(&self->out, format, args);
    va_end(args);
    return rc;
}

static const char *escape_of(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

static mp_rc_t write_string(writer_t *self, const char *data, size_t size)
{
    mp_rc_t rc = write_text(self, "\"");
    for (size_t i = 0; rc == MP_OK && i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        const char *escape = escape_of(c);
        if (escape)
            rc = write_text(self, escape);
        else if (c < 0x20 || c == 0x7f)
            rc = write_format(self, "\\u%04x", c);
        else
            rc = mpx_buf_add(&self->out, &c, 1);
    }
    return rc == MP_OK ? write_text(self, "\"") : rc;
}

/* With as few digits as bring it back, and a point: an int it is not. */
static mp_rc_t write_float(writer_t *self, double real)
{
    char text[40];
    if (!isfinite(real))
        return write_format(self, "{\"%s\": \"%s\"}", float_key,
                            isnan(real) ? "nan"
                            : real > 0  ? "inf"
                                        : "-inf");
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    mp_rc_t rc = write_text(self, text);
    return rc == MP_OK && !strpbrk(text, ".e") ? write_text(self, ".0") : rc;
}

static mp_rc_t write_bytes(writer_t *self, const unsigned char *data, size_t size)
{
    mp_rc_t rc = write_format(self, "{\"%s\": \"", bytes_key);
    for (size_t i = 0; rc == MP_OK && i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t bits = (uint32_t)data[i] << 16 | (n > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (n > 2 ? data[i + 2] : 0);
        char four[5] = {digits64[bits >> 18], digits64[bits >> 12 & 63],
                        n > 1 ? digits64[bits >> 6 & 63] : '=', n > 2 ? digits64[bits & 63] : '=',
                        0};
        rc = write_text(self, four);
    }
    return rc == MP_OK ? write_text(self, "\"}") : rc;
}

static mp_rc_t write_ref(writer_t *self, const mp_ref_t *ref)
{
    mp_rc_t rc = write_format(self, "{\"%s\": \"", ref_key);
    for (size_t i = 0; rc == MP_OK && i < sizeof ref->word / sizeof *ref->word; i++)
        rc = write_format(self, "%016" PRIx64, ref->word[i]);
    return rc == MP_OK ? write_text(self, "\"}") : rc;
}

static mp_rc_t write_break(writer_t *self, size_t depth)
{
    return self->indent > 0 ? write_format(self, "\n%*s", (int)depth * self->indent, "") : MP_OK;
}

static mp_rc_t write_tree(writer_t *self, const mp_tree_t *tree, size_t depth);

static mp_rc_t write_slot(writer_t *self, const mpx_tree_slot_t *slot, size_t depth)
{
    mp_rc_t rc = write_break(self, depth);
    if (rc == MP_OK && slot->key) {
        rc = write_string(self, slot->key, slot->key_size);
        if (rc == MP_OK)
            rc = write_text(self, ": ");
    }
    return rc == MP_OK ? write_tree(self, slot->node, depth) : rc;
}

static mp_rc_t write_slots(writer_t *self, const mp_tree_t *tree, size_t depth)
{
    bool is_list = tree->type == MP_TREE_LIST;
    size_t count = tree->as.many.count;
    if (depth >= MPX_TREE_DEPTH_MAX)
        return MP_ETOOLARGE;
    mp_rc_t rc = write_text(self, is_list ? "[" : "{");
    for (size_t i = 0; rc == MP_OK && i < count; i++) {
        if (i > 0)
            rc = write_text(self, self->indent > 0 ? "," : ", ");
        if (rc == MP_OK)
            rc = write_slot(self, &tree->as.many.slots[i], depth + 1);
    }
    if (rc == MP_OK && count > 0)
        rc = write_break(self, depth);
    return rc == MP_OK ? write_text(self, is_list ? "]" : "}") : rc;
}

static mp_rc_t write_tree(writer_t *self, const mp_tree_t *tree, size_t depth)
{
    switch (tree->type) {
    case MP_TREE_NULL:
        return write_text(self, "null");
    case MP_TREE_BOOL:
        return write_text(self, tree->as.truth ? "true" : "false");
    case MP_TREE_INT:
        return write_format(self, "%" PRId64, tree->as.integer);
    case MP_TREE_FLOAT:
        return write_float(self, tree->as.real);
    case MP_TREE_STR:
        return write_string(self, tree->as.bytes.data, tree->as.bytes.size);
    case MP_TREE_BYTES:
        return write_bytes(self, (const unsigned char *)tree->as.bytes.data, tree->as.bytes.size);
    case MP_TREE_LIST:
    case MP_TREE_DICT:
        return write_slots(self, tree, depth);
    case MP_TREE_REF:
        return write_ref(self, &tree->as.ref);
    }
    return MP_EINVAL;
}

/* Numbers as C writes them, whatever the program's locale has for a decimal point. */
static mp_rc_t write_in_c(writer_t *self, const mp_tree_t *tree)
{
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!c)
        return MP_ENOMEM;
    locale_t before = uselocale(c);
    mp_rc_t rc = write_tree(self, tree, 0);
    uselocale(before);
    freelocale(c);
    return rc;
}

mp_rc_t mp_tree_to_json(const mp_tree_t *self, int indent, char **text)
{
    writer_t writer = {.indent = indent < 0 ? 0 : indent > 16 ? 16 : indent};
    mp_rc_t rc = self ? write_in_c(&writer, self) : MP_EINVAL;
    if (rc == MP_OK)
        rc = mpx_buf_add(&writer.out, "", 1);
    if (rc != MP_OK) {
        mpx_buf_free(&writer.out);
        return mpx_fault(rc, "a tree as JSON");
    }
    *text = (char *)writer.out.data;
    return MP_OK;
}

/* ---- in ------------------------------------------------------------------------------------- */

typedef struct reader {
    size_t depth_left;
    size_t nodes_left;
    mp_rc_t rc;
} reader_t;

static mp_tree_t *stop(reader_t *self, mp_rc_t rc)
{
    if (self->rc == MP_OK)
        self->rc = rc;
    return NULL;
}

static int digit64(char c)
{
    const char *at = c ? strchr(digits64, c) : NULL;
    return at ? (int)(at - digits64) : -1;
}

/* NULL: it is no base64, and so the dict is just a dict. */
static mp_tree_t *read_bytes(const char *text, size_t size)
{
    if (size % 4)
        return NULL;
    size_t padding = size > 0 && text[size - 1] == '=' ? (text[size - 2] == '=' ? 2 : 1) : 0;
    unsigned char *data = malloc(size / 4 * 3 + 1);
    uint32_t bits = 0;
    size_t out = 0;
    bool fine = data != NULL;
    for (size_t i = 0; fine && i < size; i++) {
        int digit = i < size - padding ? digit64(text[i]) : 0;
        fine = digit >= 0;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 3) {
            data[out++] = (unsigned char)(bits >> 16);
            data[out++] = (unsigned char)(bits >> 8);
            data[out++] = (unsigned char)bits;
        }
    }
    mp_tree_t *tree = fine ? mp_tree_bytes(data, out - padding) : NULL;
    free(data);
    return tree;
}

static mp_tree_t *read_ref(const char *text, size_t size)
{
    mp_ref_t ref;
    enum { WORDS = sizeof ref.word / sizeof *ref.word };
    if (size != WORDS * 16 || strspn(text, "0123456789abcdef") != size)
        return NULL;
    for (size_t i = 0; i < WORDS; i++) {
        char word[17];
        memcpy(word, text + i * 16, 16);
        word[16] = 0;
        ref.word[i] = strtoull(word, NULL, 16);
    }
    return mp_tree_ref(&ref);
}

static mp_tree_t *read_float(const char *text)
{
    if (strcmp(text, "nan") == 0)
        return mp_tree_float(NAN);
    if (strcmp(text, "inf") == 0)
        return mp_tree_float(INFINITY);
    return strcmp(text, "-inf") == 0 ? mp_tree_float(-INFINITY) : NULL;
}

/* A dict that stands for something else; NULL: it doesn't. */
static mp_tree_t *read_special(json_t *json)
{
    if (json_object_size(json) != 1)
        return NULL;
    void *only = json_object_iter(json);
    const char *key = json_object_iter_key(only);
    const json_t *value = json_object_iter_value(only);
    if (!json_is_string(value))
        return NULL;
    const char *text = json_string_value(value);
    size_t size = json_string_length(value);
    if (strcmp(key, bytes_key) == 0)
        return read_bytes(text, size);
    if (strcmp(key, ref_key) == 0)
        return read_ref(text, size);
    return strcmp(key, float_key) == 0 ? read_float(text) : NULL;
}

static mp_tree_t *read_json(reader_t *self, json_t *json);

static bool add(reader_t *self, mp_tree_t *tree, const char *key, json_t *json)
{
    mp_tree_t *node = read_json(self, json);
    if (!node)
        return false;
    mp_rc_t rc = key ? mp_tree_set(tree, key, node) : mp_tree_append(tree, node);
    if (rc != MP_OK)
        (void)stop(self, rc);
    return rc == MP_OK;
}

static bool add_all(reader_t *self, mp_tree_t *tree, json_t *json)
{
    bool fine = true;
    if (json_is_array(json)) {
        for (size_t i = 0; fine && i < json_array_size(json); i++)
            fine = add(self, tree, NULL, json_array_get(json, i));
        return fine;
    }
    for (void *i = json_object_iter(json); fine && i; i = json_object_iter_next(json, i))
        fine = add(self, tree, json_object_iter_key(i), json_object_iter_value(i));
    return fine;
}

static mp_tree_t *read_many(reader_t *self, json_t *json)
{
    if (self->depth_left == 0)
        return stop(self, MP_ETOOLARGE);
    mp_tree_t *tree = mpx_tree_new(json_is_array(json) ? MP_TREE_LIST : MP_TREE_DICT);
    if (!tree)
        return stop(self, MP_ENOMEM);
    self->depth_left--;
    if (!add_all(self, tree, json))
        mp_tree_destroy(&tree);
    self->depth_left++;
    return tree;
}

static mp_tree_t *read_leaf(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_TRUE:
    case JSON_FALSE:
        return mp_tree_bool(json_is_true(json));
    case JSON_INTEGER:
        return mp_tree_int(json_integer_value(json));
    case JSON_REAL:
        return mp_tree_float(json_real_value(json));
    case JSON_STRING:
        return mp_tree_str_n(json_string_value(json), json_string_length(json));
    default:
        return mp_tree_null();
    }
}

static mp_tree_t *read_json(reader_t *self, json_t *json)
{
    if (self->nodes_left-- == 0)
        return stop(self, MP_ETOOLARGE);
    mp_tree_t *tree = json_is_object(json) ? read_special(json) : NULL;
    if (tree)
        return tree;
    if (json_is_object(json) || json_is_array(json))
        return read_many(self, json);
    tree = read_leaf(json);
    return tree ? tree : stop(self, MP_ENOMEM);
}

mp_rc_t mp_tree_from_json(const char *text, size_t size, const mp_tree_limits_t *limits,
                          mp_tree_t **out)
{
    json_error_t error;
    size_t most = limits && limits->bytes ? limits->bytes : MP_VALUE_BYTES_MAX;
    if (size > most)
        return mpx_fault(MP_ETOOLARGE, "%zu bytes of JSON; at most %zu", size, most);
    json_t *json = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!json)
        return json_error_code(&error) == json_error_out_of_memory
                   ? mpx_fault(MP_ENOMEM, "reading JSON")
                   : mpx_fault(MP_EINVAL, "JSON, line %d, column %d: %s", error.line, error.column,
                               error.text);
    reader_t reader = {.depth_left = limits && limits->depth && limits->depth < MPX_TREE_DEPTH_MAX
                                         ? limits->depth
                                         : MPX_TREE_DEPTH_MAX,
                       .nodes_left = limits && limits->nodes ? limits->nodes : SIZE_MAX};
    mp_tree_t *tree = read_json(&reader, json);
    json_decref(json);
    if (!tree)
        return mpx_fault(reader.rc, "JSON with too many nodes, too deep, or too much for memory");
    *out = tree;
    return MP_OK;
}
