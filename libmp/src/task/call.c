#include "call.h"

#include "clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void mpx_call_begin(mp_call_t *self, uint64_t index, int attempt, bool writes)
{
    self->index = index;
    self->attempt = attempt;
    self->writes = writes;
    self->value.max = MP_VALUE_BYTES_MAX;
    self->message[0] = '\0';
    mpx_buf_clear(&self->value);
}

void mpx_call_print_code(int code, char out[MPX_CALL_CODE_TEXT])
{
    const char *name = mp_errname((mp_rc_t)code);
    bool has_name = strcmp(name, "MP_E?") != 0;
    snprintf(out, MPX_CALL_CODE_TEXT, "the task returned %d%s%s%s", code, has_name ? " (" : "",
             has_name ? name : "", has_name ? ")" : "");
}

void mpx_call_free(mp_call_t *self)
{
    mpx_buf_free(&self->value);
}

int mp_call_write(mp_call_t *call, const void *data, size_t size)
{
    return call->writes ? mpx_buf_add(&call->value, data, size) : MP_EINVAL;
}

int mp_call_printf(mp_call_t *call, const char *format, ...)
{
    if (!call->writes)
        return MP_EINVAL;
    va_list args;
    va_start(args, format);
    mp_rc_t rc = mpx_buf_vprintf(&call->value, format, args);
    va_end(args);
    return rc;
}

int mp_call_fail(mp_call_t *call, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(call->message, sizeof call->message, format, args);
    va_end(args);
    return code;
}

mp_rc_t mp_call_stopping(const mp_call_t *call)
{
    return call->runner->stopping(call->runner->self);
}

void mp_call_progress(mp_call_t *call, uint64_t done, uint64_t total, const char *text)
{
    call->runner->progress(call->runner->self, done, total, text ? text : "");
}

uint64_t mp_call_index(const mp_call_t *call)
{
    return call->index;
}

int64_t mp_call_deadline_ms(const mp_call_t *call)
{
    if (call->deadline == MPX_NEVER)
        return -1;
    int64_t left = call->deadline - mpx_now();
    return left > 0 ? left / MPX_MS : 0;
}

int mp_call_attempt(const mp_call_t *call)
{
    return call->attempt;
}
