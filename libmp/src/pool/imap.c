#include <mp/imap.h>

#include <mp/job.h>

#include "fault.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mp_imap {
    mp_job_t *job;
    const char *task; /* its name */
    char *label;
    mp_input_fn *next;
    void *arg;
    mp_bytes_t input; /* asked for, and not put yet */
    bool has_input;
    bool ended;
    uint64_t puts;
    mp_rc_t failure; /* of the input: to be told when all before it was */
    char problem[256];
};

static mp_rc_t begin(mp_pool_t *pool, const mp_task_t *task, mp_input_fn *next, void *arg,
                     const mp_call_options_t *options, mp_imap_t **out)
{
    if (!next)
        return mpx_fault(MP_EINVAL, "imap: no function that gives inputs");
    mp_imap_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "an imap");
    self->next = next;
    self->arg = arg;
    self->label = strdup(options->label ? options->label : "");
    mp_rc_t rc =
        self->label ? mp_job_new(pool, task, options, &self->job) : mpx_fault(MP_ENOMEM, "an imap");
    if (rc != MP_OK) {
        mp_imap_destroy(&self);
        return rc;
    }
    self->task = task->name;
    *out = self;
    return MP_OK;
}

static mp_rc_t begin_as(mp_pool_t *pool, const mp_task_t *task, mp_input_fn *next, void *arg,
                        const mp_call_options_t *options, int unordered, mp_imap_t **out)
{
    mp_call_options_t chosen = {0};
    if (options)
        chosen = *options;
    chosen.unordered = unordered;
    return begin(pool, task, next, arg, &chosen, out);
}

mp_rc_t mp_pool_imap(mp_pool_t *pool, const mp_task_t *task, mp_input_fn *next, void *arg,
                     const mp_call_options_t *options, mp_imap_t **out)
{
    return begin_as(pool, task, next, arg, options, 0, out);
}

mp_rc_t mp_pool_imap_unordered(mp_pool_t *pool, const mp_task_t *task, mp_input_fn *next, void *arg,
                               const mp_call_options_t *options, mp_imap_t **out)
{
    return begin_as(pool, task, next, arg, options, 1, out);
}

static void end_input(mp_imap_t *self, mp_rc_t rc)
{
    self->ended = true;
    mp_job_close(self->job);
    if (rc == MP_EOF)
        return;
    self->failure = rc;
    if (*mp_errmsg())
        snprintf(self->problem, sizeof self->problem, "%s", mp_errmsg());
    else
        snprintf(self->problem, sizeof self->problem, "the input ended with %s", mp_errname(rc));
}

/* MP_OK one was put; MP_ETIMEDOUT the window is full, or the input has ended. */
static mp_rc_t put_one(mp_imap_t *self)
{
    if (!self->has_input) {
        mpx_fault(MP_OK, "%s", ""); /* what is there afterwards is of the input */
        mp_rc_t rc = self->next(self->arg, &self->input);
        if (rc != MP_OK) {
            end_input(self, rc);
            return MP_ETIMEDOUT;
        }
        self->has_input = true;
    }
    mp_rc_t rc = mp_job_put(self->job, self->input, 0);
    if (rc == MP_EINVAL || rc == MP_ETOOLARGE) {
        end_input(self, rc);
        return MP_ETIMEDOUT;
    }
    if (rc != MP_OK)
        return rc;
    self->has_input = false;
    self->puts++;
    return MP_OK;
}

mp_rc_t mp_imap_next(mp_imap_t *self, mp_outcome_t *out, int timeout_ms)
{
    mp_rc_t rc = MP_OK;
    while (!self->ended && rc == MP_OK)
        rc = put_one(self);
    if (rc == MP_ECLOSED) /* with its pool: what was put has its outcomes all the same */
        self->ended = true;
    else if (rc != MP_OK && rc != MP_ETIMEDOUT)
        return rc;
    rc = mp_job_next(self->job, out, timeout_ms);
    if (rc != MP_EOF || self->failure == MP_OK)
        return rc;
    *out = (mp_outcome_t){.rc = self->failure,
                          .index = self->puts,
                          .task = self->task,
                          .label = self->label,
                          .message = self->problem,
                          .host = "",
                          .attempt = 1,
                          .error_output = "",
                          .backtrace = ""};
    self->failure = MP_OK;
    return MP_OK;
}

void mp_imap_destroy(mp_imap_t **self_p)
{
    mp_imap_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    mp_job_destroy(&self->job);
    free(self->label);
    free(self);
}
