#include "utf8.h"

#include "unicode.h"
#include "varint.h"
#include "wire.h"

#include <string.h>

/* ---- one string ------------------------------------------------------------------------- */

/* A terminal would obey it. */
static bool is_control(const uint8_t *s, size_t length)
{
    if (length == 1)
        return s[0] < 0x20 || s[0] == 0x7f;
    return length == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

void mpx_utf8_launder(uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t length = mpx_unicode_length(text + i, size - i);
        if (length == 0 || is_control(text + i, length)) {
            length = length ? length : 1;
            memset(text + i, '?', length);
        }
        i += length;
    }
}

void mpx_utf8_launder_lines(uint8_t *text, size_t size)
{
    size_t begin = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n' || text[i] == '\t') {
            mpx_utf8_launder(text + begin, i - begin);
            begin = i + 1;
        }
    mpx_utf8_launder(text + begin, size - begin);
}

/* ---- all of a body ---------------------------------------------------------------------- */

typedef bool visit_t(mpx_reader_t string);

static bool each_string(const ProtobufCMessageDescriptor *type, mpx_reader_t body, visit_t *visit);

/* The schema's messages don't contain themselves, so this goes no deeper than they do. */
static bool each_in_field(const ProtobufCFieldDescriptor *field, mpx_reader_t value, visit_t *visit)
{
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return visit(value);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return each_string(field->descriptor, value, visit);
    return true;
}

static bool each_string(const ProtobufCMessageDescriptor *type, mpx_reader_t body, visit_t *visit)
{
    uint32_t repeated = 0; /* of all fields together, which is the stricter limit */
    while (body.at < body.end) {
        uint32_t number = 0;
        unsigned wire_type = 0;
        mpx_reader_t value;
        if (!mpx_tag_get(&body, &number, &wire_type) || !mpx_value_get(&body, wire_type, &value))
            return false;
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(type, number);
        if (!field || wire_type != MPX_BYTES)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED && ++repeated > MPX_TASKS_MAX)
            return false;
        if (!each_in_field(field, value, visit))
            return false;
    }
    return true;
}

static bool is_sound(mpx_reader_t string)
{
    size_t size = (size_t)(string.end - string.at);
    return size <= MPX_STRING_MAX && (size == 0 || !memchr(string.at, '\0', size));
}

bool mpx_utf8_check(const ProtobufCMessageDescriptor *type, mp_bytes_t body)
{
    const uint8_t *at = body.data;
    return body.size == 0 || each_string(type, (mpx_reader_t){at, at + body.size}, is_sound);
}

/* The caller of mpx_utf8_launder_all owns the bytes, and may write them. */
static bool launder_one(mpx_reader_t string)
{
    mpx_utf8_launder((uint8_t *)(uintptr_t)string.at, (size_t)(string.end - string.at));
    return true;
}

void mpx_utf8_launder_all(const ProtobufCMessageDescriptor *type, uint8_t *body, size_t size)
{
    (void)each_string(type, (mpx_reader_t){body, body + size}, launder_one);
}
