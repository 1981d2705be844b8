#include "clock.h"
#include "fault.h"
#include "manager_private.h"
#include "noted.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { MESSAGE_BYTES = 1 << 20 };

typedef struct noted {
    size_t end; /* of its operation in the buffer */
    mp_rc_t rc;
    int holds; /* the method, if its result is a hold */
    uint64_t object;
    size_t takes_count;
    mpx_take_t takes[MPX_TAKES_MAX];
} noted_t;

/* A handle on a pipeline. */
typedef struct twin {
    mp_object_t object; /* first */
    const mp_object_t *of;
    struct twin *prev, *next;
} twin_t;

struct mp_pipeline {
    mpx_server_t *server;
    uint64_t lapses; /* of the line, as far as this pipeline was told */
    bool atomic;
    bool has_run; /* what is noted next begins anew */
    mpx_buf_t operations;
    noted_t *noted;
    size_t count, room;
    size_t answered_from; /* of the message that is under way */
    twin_t *twins;
    mp_rc_t first_rc;
    char words[512]; /* of the first failure */
};

mp_rc_t mp_pipeline_new(mp_manager_t *manager, const mp_pipeline_options_t *options,
                        mp_pipeline_t **out)
{
    mpx_line_t *line = NULL;
    mp_rc_t rc = mpx_server_line(manager->server, &line);
    if (rc != MP_OK)
        return rc;
    mp_pipeline_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a pipeline");
    self->lapses = mpx_line_lapses(line);
    self->server = mpx_server_share(manager->server);
    self->atomic = options && options->atomic;
    *out = self;
    return MP_OK;
}

void mp_pipeline_destroy(mp_pipeline_t **self_p)
{
    if (!self_p || !*self_p)
        return;
    mp_pipeline_t *self = *self_p;
    *self_p = NULL;
    twin_t *twin, *next;
    DL_FOREACH_SAFE (self->twins, twin, next)
        free(twin);
    mpx_server_put(&self->server);
    mpx_buf_free(&self->operations);
    free(self->noted);
    free(self);
}

mp_object_t *mp_pipeline_object(mp_pipeline_t *self, mp_object_t *object)
{
    twin_t *twin;
    if (!object || object->server != self->server || object->pipeline)
        return NULL;
    DL_SEARCH_SCALAR(self->twins, twin, of, object);
    if (twin)
        return &twin->object;
    twin = calloc(1, sizeof *twin);
    if (!twin)
        return NULL;
    twin->object = *object;
    twin->object.pipeline = self;
    twin->of = object;
    DL_APPEND(self->twins, twin);
    return &twin->object;
}

/* ---- noting
 * --------------------------------------------------------------------------------------------------
 */

static void begin_anew(mp_pipeline_t *self)
{
    if (!self->has_run)
        return;
    self->has_run = false;
    self->count = 0;
    self->first_rc = MP_OK;
    mpx_buf_clear(&self->operations);
}

static mp_rc_t make_room(mp_pipeline_t *self)
{
    if (self->count < self->room)
        return MP_OK;
    size_t room = self->room ? self->room * 2 : 64;
    noted_t *noted = realloc(self->noted, room * sizeof *noted);
    if (!noted)
        return mpx_fault(MP_ENOMEM, "a pipeline of %zu calls", room);
    self->noted = noted;
    self->room = room;
    return MP_OK;
}

mp_rc_t mpx_noted_add(mp_pipeline_t *self, const mp_object_t *object, mpx_method_t method,
                      mpx_arg_t *args, size_t args_count, const mpx_take_t *takes,
                      size_t takes_count)
{
    begin_anew(self);
    mp_rc_t rc =
        takes_count <= MPX_TAKES_MAX ? make_room(self) : mpx_fault(MP_EINVAL, "not in a pipeline");
    /* Packs nothing, but does away with the trees. */
    mpx_buf_t none = {.max = 1};
    mp_rc_t packed = mpx_invoke_pack(object, method, 0, args, args_count,
                                     rc == MP_OK ? &self->operations : &none);
    mpx_buf_free(&none);
    if (rc == MP_OK)
        rc = packed;
    if (rc != MP_OK)
        return rc;
    noted_t *noted = &self->noted[self->count++];
    *noted = (noted_t){.end = self->operations.size,
                       .rc = MP_ECANCELLED,
                       .takes_count = takes_count,
                       .holds = mpx_method_traits(method) & MPX_HOLDS ? (int)method : 0,
                       .object = object->id};
    if (takes_count)
        memcpy(noted->takes, takes, takes_count * sizeof *takes);
    return MP_OK;
}

/* ---- running
 * ----------------------------------------------------------------------------------------------------
 */

static void keep_failure(mp_pipeline_t *self, mp_rc_t rc)
{
    if (rc == MP_OK || rc == MP_EOWNERDEAD || rc == MP_ECANCELLED || self->first_rc != MP_OK)
        return;
    self->first_rc = rc;
    strncpy(self->words, mp_errmsg(), sizeof self->words - 1);
}

static int hold_of(void *arg, uint32_t index, uint64_t *object)
{
    const mp_pipeline_t *self = arg;
    *object = self->noted[self->answered_from + index].object;
    return self->noted[self->answered_from + index].holds;
}

static void on_answer(void *arg, uint32_t index, const mpx_answer_t *answer)
{
    mp_pipeline_t *self = arg;
    noted_t *noted = &self->noted[self->answered_from + index];
    noted->rc = mpx_invoke_unpack(answer, noted->takes, noted->takes_count);
    keep_failure(self, noted->rc);
}

/* As many as a message holds, one at least. */
static size_t message_end(const mp_pipeline_t *self, size_t from, size_t begin)
{
    size_t to = from + 1;
    while (to < self->count && self->noted[to].end - begin <= MESSAGE_BYTES)
        to++;
    return to;
}

static mp_rc_t run_each(mp_pipeline_t *self, mpx_line_t *line, int64_t deadline)
{
    size_t begin = 0;
    mp_rc_t rc = MP_OK;
    for (size_t from = 0, to; rc == MP_OK && from < self->count; from = to) {
        to = message_end(self, from, begin);
        size_t end = self->noted[to - 1].end;
        mpx_errand_t errand = {
            .operations = {self->operations.data + begin, end - begin},
            .count = (uint32_t)(to - from),
            .answer = on_answer,
            .hold_of = hold_of,
            .arg = self,
            .lapses = self->lapses,
        };
        self->answered_from = from;
        rc = mpx_line_run(line, &errand, deadline);
        begin = end;
    }
    return rc;
}

/* The answers of an atomic, if all went well; else those before the one that failed were undone,
 * and have given nothing. */
static void on_atomic(void *arg, uint32_t index, const mpx_answer_t *answer)
{
    mp_pipeline_t *self = arg;
    uint32_t kind;
    mpx_answer_t one;
    mp_bytes_t results = answer->results, answers = {NULL, 0}, look;
    bool failed = false;
    (void)index;
    if (answer->rc != MP_OK) {
        keep_failure(self, mpx_invoke_unpack(answer, NULL, 0));
        return;
    }
    if (mpx_parcel_next(&results, &kind, &answers) != MP_OK)
        return;
    for (look = answers; mpx_answer_next(&look, &one) == MP_OK;)
        failed = failed || one.rc != MP_OK;
    for (size_t i = 0; i < self->count && mpx_answer_next(&answers, &one) == MP_OK; i++) {
        noted_t *noted = &self->noted[i];
        if (failed && one.rc == MP_OK)
            continue;
        noted->rc = mpx_invoke_unpack(&one, noted->takes, noted->takes_count);
        keep_failure(self, noted->rc);
    }
}

static mp_rc_t run_as_one(mp_pipeline_t *self, mpx_line_t *line, int64_t deadline)
{
    mpx_buf_t message = {0};
    mp_rc_t rc = MP_OK;
    uint8_t head[MPX_OPERATION_HEAD];
    if (self->operations.size > MP_VALUE_BYTES_MAX)
        return mpx_fault(MP_ETOOLARGE, "an atomic of %zu bytes", self->operations.size);
    mpx_operation_t operation = {.method = MPX_ATOMIC,
                                 .arguments.size = MPX_PARCEL_HEAD + self->operations.size};
    mpx_operation_head(head, &operation);
    rc = mpx_buf_add(&message, head, sizeof head);
    if (rc == MP_OK)
        rc = mpx_parcel_add(&message, MP_ITEM_BYTES, mpx_buf_bytes(&self->operations));
    mpx_errand_t errand = {
        .operations = mpx_buf_bytes(&message),
        .count = 1,
        .answer = on_atomic,
        .arg = self,
        .lapses = self->lapses,
    };
    if (rc == MP_OK)
        rc = mpx_line_run(line, &errand, deadline);
    mpx_buf_free(&message);
    return rc;
}

mp_rc_t mp_pipeline_run(mp_pipeline_t *self, int timeout_ms)
{
    mpx_line_t *line = NULL;
    int64_t deadline = mpx_invoke_deadline(timeout_ms);
    begin_anew(self);
    self->has_run = true;
    if (self->count == 0)
        return MP_OK;
    mp_rc_t rc = mpx_server_line(self->server, &line);
    if (rc == MP_OK)
        rc = self->atomic ? run_as_one(self, line, deadline) : run_each(self, line, deadline);
    if (rc == MP_ELEASE)
        self->lapses = mpx_line_lapses(line);
    if (rc != MP_OK)
        return rc;
    return self->first_rc == MP_OK ? MP_OK : mpx_fault(self->first_rc, "%s", self->words);
}

size_t mp_pipeline_len(const mp_pipeline_t *self)
{
    return self->count;
}

mp_rc_t mp_pipeline_outcome(const mp_pipeline_t *self, size_t index)
{
    if (index >= self->count || !self->has_run)
        return mpx_fault(MP_ERANGE, "call %zu of %zu", index, self->has_run ? self->count : 0);
    return self->noted[index].rc;
}
