/* header.c: the head of a message, by hand: it is on the path of every call. */
#include "wire.h"

#include "fault.h"
#include "varint.h"

#include <string.h>

enum { PREAMBLE = 4, HEADER_MAX = 128, FIELDS_END = 16 };

static const char *const names[MPX_OP_END] = {
    [MPX_OP_HELLO] = "HELLO",
    [MPX_OP_WELCOME] = "WELCOME",
    [MPX_OP_ERROR] = "ERROR",
    [MPX_OP_PING] = "PING",
    [MPX_OP_PONG] = "PONG",
    [MPX_OP_OPEN] = "OPEN",
    [MPX_OP_SUBMIT] = "SUBMIT",
    [MPX_OP_STARTED] = "STARTED",
    [MPX_OP_RESULT] = "RESULT",
    [MPX_OP_CANCEL] = "CANCEL",
    [MPX_OP_CLOSE] = "CLOSE",
    [MPX_OP_ACK] = "ACK",
    [MPX_OP_DRAIN] = "DRAIN",
    [MPX_OP_BYE] = "BYE",
    [MPX_OP_KNOCK] = "KNOCK",
    [MPX_OP_CHALLENGE] = "CHALLENGE",
    [MPX_OP_PROOF] = "PROOF",
    [MPX_OP_ADMIT] = "ADMIT",
    [MPX_OP_PUT] = "PUT",
    [MPX_OP_ADMITTED] = "ADMITTED",
    [MPX_OP_RESERVE] = "RESERVE",
    [MPX_OP_GRANT] = "GRANT",
    [MPX_OP_TAKE] = "TAKE",
    [MPX_OP_GIVE] = "GIVE",
    [MPX_OP_SETTLE] = "SETTLE",
    [MPX_OP_WITHDRAW] = "WITHDRAW",
    [MPX_OP_WITHDRAWN] = "WITHDRAWN",
    [MPX_OP_RETURN] = "RETURN",
    [MPX_OP_ASK] = "ASK",
    [MPX_OP_TELL] = "TELL",
    [MPX_OP_WATCH] = "WATCH",
    [MPX_OP_READY] = "READY",
    [MPX_OP_JOIN] = "JOIN",
    [MPX_OP_JOINED] = "JOINED",
    [MPX_OP_DATA] = "DATA",
    [MPX_OP_CREDIT] = "CREDIT",
    [MPX_OP_PROGRESS] = "PROGRESS",
    [MPX_OP_CALL] = "CALL",
    [MPX_OP_ANSWER] = "ANSWER",
    [MPX_OP_RECALL] = "RECALL",
    [MPX_OP_RETURNED] = "RETURNED",
    [MPX_OP_SURVEY] = "SURVEY",
    [MPX_OP_CENSUS] = "CENSUS",
    [MPX_OP_KEPT] = "KEPT",
    [MPX_OP_JOB_KEEP] = "JOB_KEEP",
    [MPX_OP_JOB_INFO] = "JOB_INFO",
    [MPX_OP_JOB_PUT] = "JOB_PUT",
    [MPX_OP_JOB_TAKE] = "JOB_TAKE",
    [MPX_OP_JOB_GIVE] = "JOB_GIVE",
    [MPX_OP_JOB_FREE] = "JOB_FREE",
    [MPX_OP_JOB_DONE] = "JOB_DONE",
    [MPX_OP_JOB_CANCEL] = "JOB_CANCEL",
    [MPX_OP_JOB_LIST] = "JOB_LIST",
    [MPX_OP_JOB_DEAD] = "JOB_DEAD",
    [MPX_OP_JOB_SAID] = "JOB_SAID",
    [MPX_OP_STAT] = "STAT",
    [MPX_OP_FACTS] = "FACTS",
    [MPX_OP_LATER] = "LATER",
    [MPX_OP_DISMISS] = "DISMISS",
    [MPX_OP_DISMISSED] = "DISMISSED",
    [MPX_OP_OUTPUT] = "OUTPUT",
    [MPX_OP_SHIP] = "SHIP",
    [MPX_OP_SHIPPED] = "SHIPPED",
    [MPX_OP_FETCH] = "FETCH",
    [MPX_OP_PIECE] = "PIECE",
    [MPX_OP_OFFER] = "OFFER",
};

/* Not every number has an op. */
static bool is_op(uint64_t number)
{
    return number < MPX_OP_END && names[number];
}

const char *mpx_op_name(mpx_op_t op)
{
    return is_op(op) ? names[op] : "?";
}

static uint32_t zigzag(int32_t value)
{
    return ((uint32_t)value << 1) ^ (value < 0 ? UINT32_MAX : 0);
}

static int32_t unzigzag(uint32_t value)
{
    return (int32_t)((value >> 1) ^ (value & 1 ? UINT32_MAX : 0));
}

/* proto3: a field that is zero isn't written. All tags are below 16: one byte. */
static uint8_t *put(uint8_t *at, unsigned field, uint64_t value)
{
    if (value == 0)
        return at;
    *at++ = (uint8_t)(field << 3 | MPX_VARINT);
    for (; value > 0x7f; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

size_t mpx_head_pack(const mpx_header_t *header, bool apart, uint8_t out[MPX_HEAD_MAX])
{
    uint8_t *at = out + PREAMBLE;
    at = put(at, 1, (uint64_t)header->op);
    at = put(at, 2, header->job);
    at = put(at, 3, header->chunk);
    at = put(at, 4, header->first);
    at = put(at, 5, header->count);
    at = put(at, 6, header->attempt);
    at = put(at, 7, header->item_bytes);
    at = put(at, 8, header->busy_ns);
    at = put(at, 9, zigzag(header->code));
    at = put(at, 10, header->nonce);
    at = put(at, 11, header->bytes);
    at = put(at, 12, header->kind);
    at = put(at, 15, header->deadline_ms);
    size_t length = (size_t)(at - out) - PREAMBLE;
    out[0] = MPX_WIRE_VERSION;
    out[1] = apart ? MPX_FLAG_APART : 0;
    out[2] = (uint8_t)length;
    out[3] = (uint8_t)(length >> 8);
    size_t padded = (PREAMBLE + length + 15) & ~(size_t)15;
    memset(at, 0, padded - PREAMBLE - length);
    return padded;
}

static bool is_field(uint32_t number)
{
    return number < FIELDS_END && number != 13 && number != 14;
}

/* Fields that this version doesn't know are passed over, as protobuf does. */
static bool get_fields(mpx_reader_t *reader, uint64_t fields[FIELDS_END])
{
    while (reader->at < reader->end) {
        uint32_t number = 0;
        unsigned type = 0;
        mpx_reader_t value;
        if (!mpx_tag_get(reader, &number, &type))
            return false;
        if (!is_field(number)) {
            if (!mpx_value_get(reader, type, &value))
                return false;
        } else if (type != MPX_VARINT || !mpx_varint_get(reader, &fields[number])) {
            return false;
        }
    }
    return true;
}

static mp_rc_t assign(const uint64_t fields[FIELDS_END], mpx_header_t *out)
{
    if (!is_op(fields[1]))
        return mpx_fault(MP_EPROTO, "a message has the unknown op %llu",
                         (unsigned long long)fields[1]);
    if (fields[5] > UINT32_MAX || fields[6] > UINT32_MAX || fields[7] > UINT32_MAX ||
        fields[9] > UINT32_MAX || fields[12] > UINT32_MAX || fields[15] > UINT32_MAX ||
        fields[4] > UINT64_MAX - fields[5])
        return mpx_fault(MP_EPROTO, "a %s's header has a number out of range",
                         mpx_op_name((mpx_op_t)fields[1]));
    *out = (mpx_header_t){
        .op = (mpx_op_t)fields[1],
        .job = fields[2],
        .chunk = fields[3],
        .first = fields[4],
        .count = (uint32_t)fields[5],
        .attempt = (uint32_t)fields[6],
        .item_bytes = (uint32_t)fields[7],
        .busy_ns = fields[8],
        .code = unzigzag((uint32_t)fields[9]),
        .nonce = fields[10],
        .bytes = fields[11],
        .kind = (uint32_t)fields[12],
        .deadline_ms = (uint32_t)fields[15],
    };
    return MP_OK;
}

mp_rc_t mpx_head_unpack(mp_bytes_t message, mpx_header_t *out, mp_bytes_t *payload, bool *apart)
{
    const uint8_t *bytes = message.data;
    if (message.size < PREAMBLE)
        return mpx_fault(MP_EPROTO, "a message of %zu bytes has no head", message.size);
    if (bytes[0] != MPX_WIRE_VERSION)
        return mpx_fault(MP_EVERSION, "a message is in version %u of the protocol", bytes[0]);
    if (bytes[1] & ~MPX_FLAG_APART)
        return mpx_fault(MP_EPROTO, "a message has unknown flags 0x%x", bytes[1]);
    size_t length = (size_t)bytes[2] | (size_t)bytes[3] << 8;
    size_t padded = (PREAMBLE + length + 15) & ~(size_t)15;
    if (length > HEADER_MAX || padded > message.size)
        return mpx_fault(MP_EPROTO, "a message of %zu bytes has a header of %zu", message.size,
                         length);
    mpx_reader_t reader = {bytes + PREAMBLE, bytes + PREAMBLE + length};
    uint64_t fields[FIELDS_END] = {0};
    if (!get_fields(&reader, fields))
        return mpx_fault(MP_EPROTO, "a message's header is not protobuf of ours");
    bool is_apart = bytes[1] & MPX_FLAG_APART;
    if (is_apart && padded != message.size)
        return mpx_fault(MP_EPROTO, "a message has its payload both here and apart");
    mp_rc_t rc = assign(fields, out);
    if (rc != MP_OK)
        return rc;
    *apart = is_apart;
    *payload = (mp_bytes_t){bytes + padded, message.size - padded};
    return MP_OK;
}
