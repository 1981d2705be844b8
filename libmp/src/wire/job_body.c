#include "job_body.h"

#include "body_private.h"
#include "fault.h"
#include "utf8.h"

#include "mp.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 8 };

bool mpx_job_id_valid(const char *id)
{
    static const char signs[] = "._:-";
    size_t size = strnlen(id, MPX_JOB_ID_MAX + 1);
    if (size == 0 || size > MPX_JOB_ID_MAX || *id == '-')
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = id[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && !strchr(signs, c))
            return false;
    }
    return true;
}

static ProtobufCBinaryData binary(mp_bytes_t bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)(uintptr_t)bytes.data};
}

/* One block for bytes, which are aligned for numbers, and strings behind them. */
static mp_rc_t copy_all(const char **strings, size_t count, ProtobufCBinaryData from,
                        mp_bytes_t *bytes, void **arena_out)
{
    size_t size = from.len;
    for (size_t i = 0; i < count; i++)
        size += strlen(strings[i]) + 1;
    unsigned char *arena = malloc(size);
    if (!arena)
        return mpx_fault(MP_ENOMEM, "out of memory for a message");
    if (from.len)
        memcpy(arena, from.data, from.len);
    char *at = (char *)arena + from.len;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(strings[i]);
        memcpy(at, strings[i], length + 1);
        mpx_utf8_launder((uint8_t *)at, length);
        strings[i] = at;
        at += length + 1;
    }
    *bytes = (mp_bytes_t){arena, from.len};
    *arena_out = arena;
    return MP_OK;
}

/* Fields of the same name in the struct and the message. */
#define KEEP_NUMBERS(X)                                                                            \
    X(token)                                                                                       \
    X(attach)                                                                                      \
    X(keep_ms)                                                                                     \
    X(retries)                                                                                     \
    X(retry_on)                                                                                    \
    X(retry_delay_ms)                                                                              \
    X(max_crashes)                                                                                 \
    X(chunk_calls)                                                                                 \
    X(dead_letters)                                                                                \
    X(delay_ms)                                                                                    \
    X(deadline_ms)                                                                                 \
    X(hears)                                                                                       \
    X(names_owner)

#define SET(field) message.field = self->field;
#define GET(field) out->field = message->field;

mp_rc_t mpx_keep_pack(const mpx_keep_t *self, mpx_buf_t *out)
{
    Mp__Keep message;
    mp__keep__init(&message);
    message.id = mpx_body_text(self->id);
    message.key = mpx_body_text(self->key);
    message.open = binary(self->open);
    message.owner = mpx_body_text(self->owner);
    KEEP_NUMBERS(SET)
    return mpx_body_pack(&message.base, out);
}

mp_rc_t mpx_keep_unpack(mp_bytes_t body, mpx_keep_t *out, void **arena)
{
    mpx_body_t opened;
    const Mp__Keep *message = mpx_body_open(&opened, &mp__keep__descriptor, body, "JOB_KEEP");
    if (!message)
        return opened.rc;
    const char *strings[] = {message->id, message->key, message->owner};
    mp_bytes_t open;
    mp_rc_t rc = copy_all(strings, 3, message->open, &open, arena);
    if (rc == MP_OK) {
        *out = (mpx_keep_t){.id = strings[0], .key = strings[1], .owner = strings[2], .open = open};
        KEEP_NUMBERS(GET)
    }
    mpx_body_close(&opened);
    return rc;
}

#define INFO_NUMBERS(X)                                                                            \
    X(number)                                                                                      \
    X(calls)                                                                                       \
    X(ended)                                                                                       \
    X(failed)                                                                                      \
    X(freed)                                                                                       \
    X(closed) X(complete) X(open) X(cancelled) X(fresh) X(handles) X(bytes) X(created_ms) X(left_ms)

mp_rc_t mpx_kept_info_pack(const mpx_kept_info_t *self, mpx_buf_t *out)
{
    Mp__KeptJob message;
    mp__kept_job__init(&message);
    message.id = mpx_body_text(self->id);
    message.key = mpx_body_text(self->key);
    message.task = mpx_body_text(self->task);
    message.signature = mpx_body_text(self->signature);
    message.label = mpx_body_text(self->label);
    message.owner = mpx_body_text(self->owner);
    INFO_NUMBERS(SET)
    return mpx_body_pack(&message.base, out);
}

mp_rc_t mpx_kept_info_unpack(mp_bytes_t body, mpx_kept_info_t *out, void **arena)
{
    mpx_body_t opened;
    const Mp__KeptJob *message =
        mpx_body_open(&opened, &mp__kept_job__descriptor, body, "JOB_INFO");
    if (!message)
        return opened.rc;
    const char *strings[] = {message->id,        message->key,   message->task,
                             message->signature, message->label, message->owner};
    mp_rc_t rc = mpx_body_strings(strings, 6, arena);
    if (rc == MP_OK) {
        *out = (mpx_kept_info_t){.id = strings[0],
                                 .key = strings[1],
                                 .task = strings[2],
                                 .signature = strings[3],
                                 .label = strings[4],
                                 .owner = strings[5]};
        INFO_NUMBERS(GET)
    }
    mpx_body_close(&opened);
    return rc;
}

/* ---- dead letters ------------------------------------------------------------------------ */

mp_rc_t mpx_dead_order_pack(const mpx_dead_order_t *self, mpx_buf_t *out)
{
    Mp__DeadOrder message;
    mp__dead_order__init(&message);
    uint8_t *numbers = malloc(self->numbers_count * NUMBER_BYTES + 1);
    if (!numbers)
        return mpx_fault(MP_ENOMEM, "out of memory for a message");
    for (size_t i = 0; i < self->numbers_count; i++) {
        mpx_store_u32(numbers + i * NUMBER_BYTES, (uint32_t)self->numbers[i]);
        mpx_store_u32(numbers + i * NUMBER_BYTES + 4, (uint32_t)(self->numbers[i] >> 32));
    }
    message.what = self->what;
    message.after = self->after;
    message.count = self->count;
    message.numbers = binary((mp_bytes_t){numbers, self->numbers_count * NUMBER_BYTES});
    message.task = mpx_body_text(self->task);
    message.id = mpx_body_text(self->id);
    message.token = self->token;
    mp_rc_t rc = mpx_body_pack(&message.base, out);
    free(numbers);
    return rc;
}

static mp_rc_t read_order(const Mp__DeadOrder *message, mpx_dead_order_t *out, void **arena)
{
    size_t count = message->numbers.len / NUMBER_BYTES;
    if (message->numbers.len % NUMBER_BYTES || count > MPX_DEAD_NUMBERS_MAX ||
        message->what < MPX_DEAD_LIST || message->what > MPX_DEAD_DROP)
        return mpx_fault(MP_EPROTO, "the body of a JOB_DEAD is malformed");
    const char *strings[] = {message->task, message->id};
    mp_bytes_t bytes = {0};
    mp_rc_t rc = copy_all(strings, 2, message->numbers, &bytes, arena);
    if (rc != MP_OK)
        return rc;
    uint64_t *numbers = *arena;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *at = (const unsigned char *)bytes.data + i * NUMBER_BYTES;
        numbers[i] = mpx_load_u32(at) | (uint64_t)mpx_load_u32(at + 4) << 32;
        if (i > 0 && numbers[i] <= numbers[i - 1]) {
            free(*arena);
            *arena = NULL;
            return mpx_fault(MP_EPROTO, "the numbers of a JOB_DEAD must rise");
        }
    }
    *out = (mpx_dead_order_t){.what = (mpx_dead_what_t)message->what,
                              .after = message->after,
                              .count = message->count,
                              .numbers = numbers,
                              .numbers_count = count,
                              .task = strings[0],
                              .id = strings[1],
                              .token = message->token};
    return MP_OK;
}

mp_rc_t mpx_dead_order_unpack(mp_bytes_t body, mpx_dead_order_t *out, void **arena)
{
    mpx_body_t opened;
    const Mp__DeadOrder *message =
        mpx_body_open(&opened, &mp__dead_order__descriptor, body, "JOB_DEAD");
    if (!message)
        return opened.rc;
    mp_rc_t rc = read_order(message, out, arena);
    mpx_body_close(&opened);
    return rc;
}

#define LETTER_NUMBERS(X) X(number) X(index) X(time_ms) X(code) X(pid) X(attempt) X(input_bytes)

mp_rc_t mpx_dead_letter_pack(const mpx_dead_letter_t *self, mpx_buf_t *out)
{
    Mp__DeadLetter message;
    mp__dead_letter__init(&message);
    message.job = mpx_body_text(self->job);
    message.label = mpx_body_text(self->label);
    message.task = mpx_body_text(self->task);
    message.signature = mpx_body_text(self->signature);
    message.message = mpx_body_text(self->message);
    message.host = mpx_body_text(self->host);
    message.owner = mpx_body_text(self->owner);
    LETTER_NUMBERS(SET)
    return mpx_body_pack(&message.base, out);
}

mp_rc_t mpx_dead_letter_unpack(mp_bytes_t body, mpx_dead_letter_t *out, void **arena)
{
    mpx_body_t opened;
    const Mp__DeadLetter *message =
        mpx_body_open(&opened, &mp__dead_letter__descriptor, body, "JOB_INFO");
    if (!message)
        return opened.rc;
    const char *strings[] = {message->job,     message->label, message->task, message->signature,
                             message->message, message->host,  message->owner};
    mp_rc_t rc = mpx_body_strings(strings, 7, arena);
    if (rc == MP_OK) {
        *out = (mpx_dead_letter_t){.job = strings[0],
                                   .label = strings[1],
                                   .task = strings[2],
                                   .signature = strings[3],
                                   .message = strings[4],
                                   .host = strings[5],
                                   .owner = strings[6]};
        LETTER_NUMBERS(GET)
    }
    mpx_body_close(&opened);
    return rc;
}
