#include "offered.h"

#include "exec.h"
#include "registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t count_tasks(void)
{
    size_t count = 0;
    while (mpx_registry_at(&mpx_tasks, count))
        count++;
    return count;
}

static bool offer(mpx_offer_t *out, const mp_task_t *task)
{
    char signature[512];
    mp_task_signature(task, signature, sizeof signature);
    out->name = task->name;
    out->signature = strdup(signature);
    return out->signature != NULL;
}

mp_rc_t mpx_offered_hello(const char *host, bool exec, mpx_buf_t *out)
{
    size_t count = count_tasks();
    static const char *refused[] = {MPX_EXEC_NAME};
    mpx_offer_t *offers = calloc(count + 1, sizeof *offers);
    bool ok = offers != NULL;
    for (size_t i = 0; ok && i < count; i++)
        ok = offer(&offers[i], mpx_registry_at(&mpx_tasks, i));
    if (ok && exec)
        ok = offer(&offers[count++], &mpx_exec_task);
    mpx_hello_t hello = {
        .role = MPX_ROLE_EXECUTOR,
        .version_min = MPX_WIRE_VERSION,
        .version_max = MPX_WIRE_VERSION,
        .host = host,
        .pid = (uint32_t)getpid(),
        .slots = 1,
        .tasks = offers,
        .tasks_count = count,
        .refused = refused,
        .refused_count = exec ? 0 : 1,
    };
    mp_rc_t rc = ok ? mpx_hello_pack(&hello, out) : MP_ENOMEM;
    for (size_t i = 0; offers && i < count; i++)
        free((char *)(uintptr_t)offers[i].signature);
    free(offers);
    return rc;
}

const mp_task_t *mpx_offered_find(const mpx_open_t *open, bool exec, mp_rc_t *rc, char *why,
                                  size_t why_size)
{
    bool is_exec = strcmp(open->task, MPX_EXEC_NAME) == 0;
    const mp_task_t *task = is_exec ? &mpx_exec_task : mp_task_find(open->task);
    char signature[512];
    if (!task) {
        *rc = MP_ENOTASK;
        snprintf(why, why_size, "this worker has no task '%s'; is its module loaded?", open->task);
        return NULL;
    }
    if (is_exec && !exec) {
        *rc = MP_EPERM;
        snprintf(why, why_size, "this worker doesn't permit '%s'", open->task);
        return NULL;
    }
    mp_task_signature(task, signature, sizeof signature);
    if (strcmp(signature, open->signature) != 0) {
        *rc = MP_ESIGNATURE;
        snprintf(why, why_size, "the task '%s' is %s at the worker, and %s was asked for",
                 open->task, signature, open->signature);
        return NULL;
    }
    return task;
}
