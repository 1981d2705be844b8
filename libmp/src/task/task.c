#include <mp/task.h>

#include "fault.h"
#include "registry.h"

#include <dlfcn.h>
#include <stdio.h>

mpx_registry_t mpx_tasks;

/* The name of the last task that was refused, for mp_task_load: a constructor can't
 * return a code. */
static _Thread_local const char *refused;

mp_rc_t mp_task_enter(const mp_task_t *task)
{
    if (!task || !task->run || !mpx_registry_is_name(task->name) || !task->in.type ||
        !task->out.type)
        return mpx_fault(MP_EINVAL, "a task needs a function and a name of letters, digits, "
                                    "'_', '.' and '-'");
    mp_rc_t rc = mpx_registry_enter(&mpx_tasks, task->name, task);
    if (rc == MP_EEXIST)
        refused = task->name;
    return rc;
}

const mp_task_t *mp_task_find(const char *name)
{
    return mpx_registry_find(&mpx_tasks, name);
}

mp_rc_t mp_task_load(const char *path)
{
    if (!path || !*path)
        return mpx_fault(MP_EINVAL, "a module needs a path");
    refused = NULL;
    const void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        return mpx_fault(MP_EMODULE, "%s", dlerror());
    if (refused)
        return mpx_fault(MP_EEXIST, "%s: its task '%s' has a name that another one holds", path,
                         refused);
    return MP_OK;
}

static int side(const mp_record_t *record, char *buffer, size_t size)
{
    if (record->bytes == 0)
        return snprintf(buffer, size, "%s", record->type);
    return snprintf(buffer, size, "%s[%u,%u]", record->type, record->bytes, record->align);
}

int mp_task_signature(const mp_task_t *task, char *buffer, size_t size)
{
    char in[192], out[192];
    side(&task->in, in, sizeof in);
    side(&task->out, out, sizeof out);
    const char *order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "little" : "big";
    return snprintf(buffer, size, "%s -> %s %s", in, out, order);
}
