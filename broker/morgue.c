#include "morgue.h"

#include "fault.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* time, index, and the sizes of item, task, owner, keep, input, record: little-endian words. */
enum { PARTS = 5, HEAD_WORDS = 5 + PARTS, HEAD_BYTES = HEAD_WORDS * 4, LETTER_COST = 192 };

mp_rc_t mpx_letter_pack(const mpx_letter_t *letter, mpx_buf_t *out)
{
    mp_bytes_t parts[] = {{letter->task, strlen(letter->task) + 1},
                          {letter->owner, strlen(letter->owner) + 1},
                          letter->keep,
                          letter->input,
                          letter->record};
    uint32_t words[HEAD_WORDS] = {(uint32_t)letter->time_ms, (uint32_t)(letter->time_ms >> 32),
                                  (uint32_t)letter->index, (uint32_t)(letter->index >> 32),
                                  letter->item_bytes};
    for (size_t i = 0; i < PARTS; i++)
        words[HEAD_WORDS - PARTS + i] = (uint32_t)parts[i].size;
    mp_rc_t rc = MP_OK;
    for (size_t i = 0; i < HEAD_WORDS && rc == MP_OK; i++)
        rc = mpx_buf_add_u32(out, words[i]);
    for (size_t i = 0; i < PARTS && rc == MP_OK; i++)
        if (parts[i].size)
            rc = mpx_buf_add(out, parts[i].data, parts[i].size);
    return rc;
}

static bool is_string(mp_bytes_t bytes)
{
    const char *text = bytes.data;
    return bytes.size > 0 && memchr(text, '\0', bytes.size) == text + bytes.size - 1;
}

/* Fills what lies in the block. */
static bool parse(mpx_letter_t *letter)
{
    uint32_t words[HEAD_WORDS];
    mp_bytes_t parts[PARTS];
    if (letter->size < HEAD_BYTES)
        return false;
    for (size_t i = 0; i < HEAD_WORDS; i++)
        words[i] = mpx_load_u32(letter->block + 4 * i);
    size_t at = HEAD_BYTES;
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = (mp_bytes_t){letter->block + at, words[HEAD_WORDS - PARTS + i]};
        if (parts[i].size > letter->size - at)
            return false;
        at += parts[i].size;
    }
    if (at != letter->size || !is_string(parts[0]) || !is_string(parts[1]))
        return false;
    letter->time_ms = words[0] | (uint64_t)words[1] << 32;
    letter->index = words[2] | (uint64_t)words[3] << 32;
    letter->item_bytes = words[4];
    letter->task = parts[0].data;
    letter->owner = parts[1].data;
    letter->keep = parts[2];
    letter->input = parts[3];
    letter->record = parts[4];
    return true;
}

mp_rc_t mpx_morgue_add(mpx_morgue_t *self, uint64_t number, mp_bytes_t block, mpx_letter_t **out)
{
    mpx_letter_t *letter = calloc(1, sizeof *letter + block.size);
    if (!letter)
        return mpx_fault(MP_ENOMEM, "a dead letter");
    letter->number = number;
    letter->size = block.size;
    memcpy(letter->block, block.data, block.size);
    if (!parse(letter) || number <= self->last_number) {
        free(letter);
        return mpx_fault(MP_ECORRUPT, "the data directory has dead letters that are none");
    }
    HASH_ADD(hh, self->by_number, number, sizeof letter->number, letter);
    if (letter->unlisted) {
        free(letter);
        return mpx_fault(MP_ENOMEM, "a dead letter");
    }
    DL_APPEND(self->letters, letter);
    self->bytes += letter->size + LETTER_COST;
    self->last_number = number;
    *out = letter;
    return MP_OK;
}

mpx_letter_t *mpx_morgue_excess(mpx_morgue_t *self)
{
    return self->bytes > self->max_bytes ? self->letters : NULL;
}

static mpx_letter_t *look_up(const mpx_morgue_t *self, uint64_t number)
{
    mpx_letter_t *letter = NULL;
    HASH_FIND(hh, self->by_number, &number, sizeof number, letter);
    return letter;
}

mpx_letter_t *mpx_morgue_find(const mpx_morgue_t *self, uint64_t number)
{
    mpx_letter_t *letter = look_up(self, number);
    return letter && !letter->leaves ? letter : NULL;
}

mpx_letter_t *mpx_morgue_next(const mpx_morgue_t *self, uint64_t after)
{
    mpx_letter_t *letter = look_up(self, after);
    letter = letter ? letter->next : self->letters;
    while (letter && (letter->number <= after || letter->leaves))
        letter = letter->next;
    return letter;
}

void mpx_morgue_drop(mpx_morgue_t *self, mpx_letter_t *letter)
{
    HASH_DEL(self->by_number, letter);
    DL_DELETE(self->letters, letter);
    self->bytes -= letter->size + LETTER_COST;
    self->leaving -= letter->leaves;
    free(letter);
}

void mpx_morgue_leave(mpx_morgue_t *self, mpx_letter_t *letter)
{
    self->leaving += !letter->leaves;
    letter->leaves = true;
}

void mpx_morgue_settle(mpx_morgue_t *self, bool gone)
{
    mpx_letter_t *letter, *next;
    if (self->leaving == 0)
        return;
    DL_FOREACH_SAFE (self->letters, letter, next) {
        if (letter->leaves && gone)
            mpx_morgue_drop(self, letter);
        else
            letter->leaves = false;
    }
    self->leaving = 0;
}

void mpx_morgue_free(mpx_morgue_t *self)
{
    while (self->letters)
        mpx_morgue_drop(self, self->letters);
}

void mpx_letter_arenas_free(mpx_letter_arenas_t *arenas)
{
    free(arenas->keep);
    free(arenas->open);
    free(arenas->failure);
    *arenas = (mpx_letter_arenas_t){0};
}

mp_rc_t mpx_letter_describe(const mpx_letter_t *letter, mpx_dead_letter_t *out,
                            mpx_letter_arenas_t *arenas)
{
    mpx_keep_t keep;
    mpx_open_t open;
    mpx_record_t record = {0};
    mpx_failure_t failure = {.message = "", .host = ""};
    mp_bytes_t rest = letter->record;
    *arenas = (mpx_letter_arenas_t){0};
    mp_rc_t rc = mpx_keep_unpack(letter->keep, &keep, &arenas->keep);
    if (rc == MP_OK)
        rc = mpx_open_unpack(keep.open, &open, &arenas->open);
    if (rc == MP_OK)
        rc = mpx_record_next(&rest, &record);
    if (rc == MP_OK && record.detail.size)
        rc = mpx_failure_unpack(record.detail, &failure, &arenas->failure);
    if (rc != MP_OK)
        return rc == MP_EOF ? MP_EPROTO : rc;
    *out = (mpx_dead_letter_t){.number = letter->number,
                               .owner = letter->owner,
                               .job = keep.id,
                               .label = open.label,
                               .task = open.task,
                               .signature = open.signature,
                               .index = letter->index,
                               .time_ms = letter->time_ms,
                               .code = record.rc,
                               .message = failure.message,
                               .host = failure.host,
                               .pid = failure.pid,
                               .attempt = failure.attempt ? failure.attempt : 1,
                               .input_bytes = letter->input.size};
    return MP_OK;
}
