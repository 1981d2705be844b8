/* task.c: the registry: an append-only list that readers walk without a lock, so that a
 * fork in the middle of another thread's mp_task_enter leaves the child a usable one. */
#include <mp/task.h>

#include "fault.h"
#include "registry.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct node {
    const mp_task_t *task;
    _Atomic(struct node *) next;
} node_t;

static _Atomic(node_t *) first;

/* The name of the last task that was refused, for mp_task_load: a constructor can't
 * return a code. */
static _Thread_local const char *refused;

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

static bool is_valid(const mp_task_t *task)
{
    if (!task || !task->run || !task->name || !task->in.type || !task->out.type)
        return false;
    size_t length = strlen(task->name);
    if (length == 0 || length > MP_TASK_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_name_char(task->name[i]))
            return false;
    return true;
}

static mp_rc_t refuse(const mp_task_t *task)
{
    refused = task->name;
    return mpx_fault(MP_EEXIST, "there is another task of the name '%s'", task->name);
}

/* Walks to the end and appends there in one step: whoever loses the race walks on. */
static mp_rc_t append(node_t *node)
{
    _Atomic(node_t *) *link = &first;
    for (;;) {
        node_t *found = NULL;
        if (atomic_compare_exchange_strong(link, &found, node))
            return MP_OK;
        if (found->task == node->task)
            return MP_EBUSY;
        if (strcmp(found->task->name, node->task->name) == 0)
            return refuse(node->task);
        link = &found->next;
    }
}

mp_rc_t mp_task_enter(const mp_task_t *task)
{
    if (!is_valid(task))
        return mpx_fault(MP_EINVAL, "a task needs a function and a name of letters, digits, "
                                    "'_', '.' and '-'");
    node_t *node = malloc(sizeof *node);
    if (!node)
        return mpx_fault(MP_ENOMEM, "the task '%s'", task->name);
    node->task = task;
    atomic_init(&node->next, NULL);
    mp_rc_t rc = append(node);
    if (rc != MP_OK)
        free(node);
    return rc == MP_EBUSY ? MP_OK : rc;
}

static const node_t *next_of(const node_t *node)
{
    return atomic_load(&node->next);
}

const mp_task_t *mp_task_find(const char *name)
{
    for (const node_t *node = atomic_load(&first); node; node = next_of(node))
        if (strcmp(node->task->name, name) == 0)
            return node->task;
    return NULL;
}

const mp_task_t *mpx_registry_at(size_t i)
{
    const node_t *node = atomic_load(&first);
    for (; node && i > 0; i--)
        node = next_of(node);
    return node ? node->task : NULL;
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
