#include "kept.h"

#include <stdlib.h>
#include <string.h>

mp_rc_t mpx_kept_input(mpx_buf_t *out, const mp_task_t *task, mp_bytes_t input)
{
    return task->in.bytes ? mpx_buf_add(out, input.data, input.size) : mpx_item_add(out, input);
}

size_t mpx_kept_input_bytes(const mp_task_t *task, size_t input_bytes)
{
    return task->in.bytes ? input_bytes : sizeof(uint32_t) + input_bytes;
}

const char *mpx_kept_where(const mpx_failure_t *failure)
{
    return failure->pid ? failure->host : "";
}

static void keep_failure(mpx_kept_t *self, mp_bytes_t detail)
{
    mp_outcome_t *outcome = &self->outcome;
    mpx_failure_t failure;
    if (mpx_failure_unpack(detail, &failure, &self->arena) != MP_OK) {
        outcome->message = mp_strerror(outcome->rc);
        return;
    }
    outcome->message = failure.message;
    outcome->host = mpx_kept_where(&failure);
    outcome->pid = (int)failure.pid;
    outcome->attempt = (int)failure.attempt;
    outcome->code = failure.code;
    outcome->signal = (int)failure.signal;
    outcome->exit_status = (int)failure.exit_status;
    outcome->error_output = failure.error_output;
    outcome->backtrace = failure.backtrace;
}

mp_rc_t mpx_kept_fill(mpx_kept_t *self, const mp_task_t *task, uint64_t index,
                      const mpx_record_t *record)
{
    mp_bytes_t value = record->value;
    self->outcome = (mp_outcome_t){.rc = record->rc,
                                   .index = index,
                                   .task = task->name,
                                   .label = "",
                                   .message = "",
                                   .host = "",
                                   .attempt = 1,
                                   .error_output = "",
                                   .backtrace = ""};
    if (record->rc == MP_OK && task->out.bytes && value.size != task->out.bytes) {
        self->outcome.rc = MP_EPROTO;
        self->outcome.message = "the result has another size than the task's";
        return MP_OK;
    }
    if (record->rc != MP_OK)
        keep_failure(self, record->detail);
    if (value.size == 0)
        return MP_OK;
    self->value = malloc(value.size);
    if (!self->value)
        return MP_ENOMEM;
    memcpy(self->value, value.data, value.size);
    self->outcome.value = (mp_bytes_t){self->value, value.size};
    return MP_OK;
}

void mpx_kept_free(mpx_kept_t *self)
{
    free(self->arena);
    free(self->value);
    *self = (mpx_kept_t){0};
}
