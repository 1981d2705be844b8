/* dead.c: dead letters, as their clients see them. */
#include <mp/dead.h>

#include "deposit.h"
#include "fault.h"
#include "inquiry.h"
#include "kept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mp_rc_t run_order(mpx_inquiry_t *inquiry, mp_pool_t *pool, const mpx_dead_order_t *order,
                         int timeout_ms)
{
    mpx_buf_t body = {0};
    mp_rc_t rc = mpx_dead_order_pack(order, &body);
    inquiry->header = (mpx_header_t){.op = MPX_OP_JOB_DEAD};
    inquiry->body = mpx_buf_bytes(&body);
    if (rc == MP_OK)
        rc = mpx_inquiry_run(inquiry, pool, timeout_ms);
    mpx_buf_free(&body);
    return rc;
}

/* ---- to be looked at ------------------------------------------------------------------ */

static void fill(mp_dead_letter_t *out, const mpx_dead_letter_t *letter)
{
    *out = (mp_dead_letter_t){.number = letter->number,
                              .index = letter->index,
                              .time_ms = letter->time_ms,
                              .rc = (mp_rc_t)letter->code,
                              .pid = (int)letter->pid,
                              .attempt = (int)letter->attempt,
                              .input_bytes = (size_t)letter->input_bytes};
    snprintf(out->job, sizeof out->job, "%s", letter->job);
    snprintf(out->label, sizeof out->label, "%s", letter->label);
    snprintf(out->task, sizeof out->task, "%s", letter->task);
    snprintf(out->message, sizeof out->message, "%s", letter->message);
    snprintf(out->host, sizeof out->host, "%s", letter->pid ? letter->host : "");
    snprintf(out->owner, sizeof out->owner, "%s", letter->owner);
}

static mp_rc_t on_letter(mpx_inquiry_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)header;
    mpx_listing_t *listing = self->arg;
    mp_dead_letter_t *out = listing->out;
    mpx_dead_letter_t letter;
    void *arena = NULL;
    mp_rc_t rc = mpx_dead_letter_unpack(payload, &letter, &arena);
    if (rc == MP_OK && mpx_listing_takes(listing, letter.number))
        fill(&out[listing->count - 1], &letter);
    free(arena);
    return rc;
}

static mp_rc_t ask_for_letters(mpx_listing_t *self, uint32_t most)
{
    mpx_inquiry_t inquiry = {.on_row = on_letter, .arg = self};
    mpx_dead_order_t order = {
        .what = MPX_DEAD_LIST, .after = self->after, .count = most, .task = self->task};
    return run_order(&inquiry, self->pool, &order, self->timeout_ms);
}

mp_rc_t mp_dead_list(mp_pool_t *pool, const char *task, unsigned long long after,
                     mp_dead_letter_t *out, size_t room, size_t *count, int timeout_ms)
{
    mpx_listing_t listing = {.pool = pool,
                             .timeout_ms = timeout_ms,
                             .ask = ask_for_letters,
                             .task = task,
                             .out = out,
                             .room = room,
                             .after = after};
    return mpx_listing_run(&listing, count);
}

typedef struct shown {
    mpx_kept_t kept; /* without a value */
    unsigned char *input;
    size_t size;
} shown_t;

static void shown_free(shown_t *shown)
{
    mpx_kept_free(&shown->kept);
    free(shown->input);
    free(shown);
}

static mp_rc_t on_shown(mpx_inquiry_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    static const mp_task_t any = {.name = ""};
    (void)header;
    shown_t *shown = self->arg;
    mpx_record_t record;
    mp_rc_t rc = mpx_record_next(&payload, &record);
    if (rc != MP_OK)
        return rc == MP_EOF ? MP_EPROTO : rc;
    unsigned char *copy = malloc(record.value.size + 1);
    if (!copy)
        return mpx_fault(MP_ENOMEM, "an input of %zu bytes", record.value.size);
    if (record.value.size)
        memcpy(copy, record.value.data, record.value.size);
    free(shown->input);
    shown->input = copy;
    shown->size = record.value.size;
    record.value.size = 0;
    mpx_kept_free(&shown->kept);
    return mpx_kept_fill(&shown->kept, &any, 0, &record);
}

mp_rc_t mp_dead_show(mp_pool_t *pool, unsigned long long number, mp_dead_detail_t *out,
                     int timeout_ms)
{
    uint64_t numbers[] = {number};
    shown_t *shown = calloc(1, sizeof *shown);
    if (!shown)
        return mpx_fault(MP_ENOMEM, "a dead letter");
    mpx_inquiry_t inquiry = {.on_row = on_shown, .arg = shown};
    mpx_dead_order_t order = {.what = MPX_DEAD_SHOW, .numbers = numbers, .numbers_count = 1};
    mp_rc_t rc = run_order(&inquiry, pool, &order, timeout_ms);
    if (rc == MP_OK && !shown->input)
        rc = mpx_fault(MP_EPROTO, "the broker answers something else");
    if (rc != MP_OK) {
        shown_free(shown);
        return rc;
    }
    *out = (mp_dead_detail_t){
        .input = {shown->input, shown->size}, .outcome = shown->kept.outcome, .memory = shown};
    return MP_OK;
}

void mp_dead_detail_clear(mp_dead_detail_t *self)
{
    if (!self)
        return;
    if (self->memory)
        shown_free(self->memory);
    *self = (mp_dead_detail_t){0};
}

/* ---- to be run again, or dropped -------------------------------------------------------- */

static mp_rc_t check_numbers(const unsigned long long *numbers, size_t count, uint64_t *out)
{
    if (count > MPX_DEAD_NUMBERS_MAX)
        return mpx_fault(MP_EINVAL, "at most %d dead letters can be named at once",
                         MPX_DEAD_NUMBERS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && numbers[i] <= numbers[i - 1])
            return mpx_fault(MP_EINVAL, "the numbers of dead letters must rise");
        out[i] = numbers[i];
    }
    return MP_OK;
}

static mp_rc_t on_requeued(mpx_inquiry_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)header;
    mpx_kept_info_t info;
    void *arena = NULL;
    mp_rc_t rc = mpx_kept_info_unpack(payload, &info, &arena);
    if (rc != MP_OK)
        return rc;
    snprintf(self->arg, MP_JOB_ID_MAX + 1, "%s", info.id);
    free(arena);
    return MP_OK;
}

mp_rc_t mp_dead_requeue(mp_pool_t *pool, const char *task, const unsigned long long *numbers,
                        size_t count, char id[MP_JOB_ID_MAX + 1], int timeout_ms)
{
    uint64_t *copy = malloc(count * sizeof *copy + 1);
    char new_id[MP_JOB_ID_MAX + 1];
    if (!copy)
        return mpx_fault(MP_ENOMEM, "%zu numbers", count);
    mpx_inquiry_t inquiry = {.on_row = on_requeued, .arg = id};
    mpx_dead_order_t order = {.what = MPX_DEAD_REQUEUE,
                              .numbers = copy,
                              .numbers_count = count,
                              .task = task,
                              .id = new_id};
    mp_rc_t rc = check_numbers(numbers, count, copy);
    if (rc == MP_OK)
        rc = mpx_job_id_random(new_id);
    if (rc == MP_OK)
        rc = mpx_job_token(&order.token);
    if (rc == MP_OK)
        rc = run_order(&inquiry, pool, &order, timeout_ms);
    free(copy);
    return rc;
}

mp_rc_t mp_dead_drop(mp_pool_t *pool, const char *task, const unsigned long long *numbers,
                     size_t count, size_t *dropped, int timeout_ms)
{
    uint64_t *copy = malloc(count * sizeof *copy + 1);
    if (!copy)
        return mpx_fault(MP_ENOMEM, "%zu numbers", count);
    mpx_inquiry_t inquiry = {0};
    mpx_dead_order_t order = {
        .what = MPX_DEAD_DROP, .numbers = copy, .numbers_count = count, .task = task};
    mp_rc_t rc = check_numbers(numbers, count, copy);
    if (rc == MP_OK)
        rc = run_order(&inquiry, pool, &order, timeout_ms);
    if (rc == MP_OK && dropped)
        *dropped = inquiry.first;
    free(copy);
    return rc;
}
