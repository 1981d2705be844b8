#include "start_method.h"

#include "fault.h"

#include <stdatomic.h>
#include <stdio.h>

enum { PRELOAD_BYTES_MAX = 4096 };

static _Atomic mp_method_t chosen = MP_FORK;
static atomic_bool fixed; /* was set, or used */
static char preload[MP_TASK_NAME_MAX + 1];

mp_rc_t mp_set_start_method(mp_method_t method, bool force)
{
    if (!mp_method_name(method))
        return mpx_fault(MP_EINVAL, "there is no start method %d", (int)method);
    if (fixed && !force)
        return mpx_fault(MP_ESTATE, "the start method is '%s' already", mp_method_name(chosen));
    chosen = method;
    fixed = true;
    return MP_OK;
}

mp_method_t mp_get_start_method(void)
{
    return chosen;
}

const char *mp_method_name(mp_method_t method)
{
    switch (method) {
    case MP_FORK:
        return "fork";
    case MP_SPAWN:
        return "spawn";
    case MP_FORKSERVER:
        return "forkserver";
    case MP_METHOD_DEFAULT:
        break;
    }
    return NULL;
}

mp_method_t mpx_method_of(const mp_process_options_t *options)
{
    if (options->method != MP_METHOD_DEFAULT)
        return options->method;
    if (options->context && options->context->method != MP_METHOD_DEFAULT)
        return options->context->method;
    fixed = true;
    return chosen;
}

void mpx_method_inherit(mp_method_t method)
{
    chosen = method;
    fixed = false;
}

mp_rc_t mp_set_forkserver_preload(const mp_target_t *target)
{
    if (target && target->item.bytes > PRELOAD_BYTES_MAX)
        return mpx_fault(MP_EINVAL, "the target '%s' is over more than %d bytes", target->name,
                         PRELOAD_BYTES_MAX);
    snprintf(preload, sizeof preload, "%s", target ? target->name : "");
    return MP_OK;
}

const char *mpx_method_preload(void)
{
    return preload;
}
