#include "fresh.h"

#include "fault.h"
#include "spawn.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* What the new process is told; behind it, one after the other, the modules' names. */
typedef struct told {
    uint32_t size;
    bool offer_exec;
    bool nested;
    bool has_initializer;
    uint64_t initializer; /* from the beginning of the program */
    uint64_t max_calls;
    uint64_t max_memory_bytes;
    uint64_t memory_limit_bytes;
    uint64_t memory_cap_bytes;
    uint64_t modules;
} told_t;

enum { MODULES_MAX = 1024 };

/* Where the program itself lies, as opposed to its libraries; it moves from process to process. */
static uintptr_t program_base(void)
{
    Dl_info info;
    const void *entry = (const void *)(uintptr_t)getauxval(AT_ENTRY);
    return dladdr(entry, &info) ? (uintptr_t)info.dli_fbase : 0;
}

static mp_rc_t tell_initializer(const mpx_crew_options_t *options, told_t *out)
{
    uintptr_t at = (uintptr_t)options->initializer;
    Dl_info info;
    if (!at)
        return MP_OK;
    if (options->initializer_arg)
        return mpx_fault(MP_EUNPASSABLE, "an initializer's argument lies in memory that workers of "
                                         "this start method don't have; it must be NULL");
    if (!dladdr((const void *)at, &info) || (uintptr_t)info.dli_fbase != program_base())
        return mpx_fault(MP_EUNPASSABLE,
                         "with this start method the initializer must be a function "
                         "of the program itself");
    out->has_initializer = true;
    out->initializer = at - program_base();
    return MP_OK;
}

static size_t names_size(const char *const *load, uint64_t *count)
{
    size_t size = 0;
    for (*count = 0; load && load[*count]; ++*count)
        size += strlen(load[*count]) + 1;
    return size;
}

mp_rc_t mpx_fresh_start(const mpx_crew_options_t *options, int control, pid_t *pid)
{
    told_t told = {.size = options->size,
                   .offer_exec = options->offer_exec,
                   .nested = options->nested,
                   .max_calls = options->max_calls,
                   .max_memory_bytes = options->max_memory_bytes,
                   .memory_limit_bytes = options->memory_limit_bytes,
                   .memory_cap_bytes = options->memory_cap_bytes};
    mpx_started_t started;
    if (!mpx_spawn_is_allowed())
        return mpx_fault(MP_ESTATE, "workers of this start method are this program, executed anew: "
                                    "its main must begin with MP_MAIN(argc, argv)");
    if (options->worker_stdout > 0)
        return mpx_fault(MP_EUNPASSABLE, "worker_stdout is for workers that are forked");
    mp_rc_t rc = tell_initializer(options, &told);
    if (rc != MP_OK)
        return rc;
    size_t size = sizeof told + names_size(options->load, &told.modules);
    char *item = malloc(size);
    if (!item)
        return mpx_fault(MP_ENOMEM, "the workers' nursery");
    memcpy(item, &told, sizeof told);
    char *at = item + sizeof told;
    for (uint64_t i = 0; i < told.modules; i++)
        at = stpcpy(at, options->load[i]) + 1;
    mpx_request_t request = {.purpose = MPX_BE_NURSERY, .log_level = -1, .item_bytes = size};
    snprintf(request.identity.name, sizeof request.identity.name, "Nursery");
    request.identity.parent = mpx_life_self();
    rc = mpx_spawn(&request, item, control, &started);
    free(item);
    if (rc != MP_OK)
        return rc;
    close(started.pidfd);
    *pid = started.pid;
    return MP_OK;
}

bool mpx_fresh_read(const void *item, size_t size, mpx_crew_options_t *out)
{
    static const char *load[MODULES_MAX + 1];
    told_t told;
    if (size < sizeof told)
        return false;
    memcpy(&told, item, sizeof told);
    const char *at = (const char *)item + sizeof told;
    const char *end = (const char *)item + size;
    if (told.modules > MODULES_MAX)
        return false;
    for (uint64_t i = 0; i < told.modules; i++) {
        size_t length = strnlen(at, (size_t)(end - at));
        if (at + length >= end)
            return false;
        load[i] = at;
        at += length + 1;
    }
    *out = (mpx_crew_options_t){.size = told.size,
                                .load = load,
                                .offer_exec = told.offer_exec,
                                .nested = told.nested,
                                .max_calls = told.max_calls,
                                .max_memory_bytes = told.max_memory_bytes,
                                .memory_limit_bytes = told.memory_limit_bytes,
                                .memory_cap_bytes = told.memory_cap_bytes};
    if (told.has_initializer)
        out->initializer = (int (*)(void *))(program_base() + told.initializer);
    return told.size > 0;
}
