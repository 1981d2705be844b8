/* local.c: a pool's calls on executors of this host. */
#include "backend.h"

#include "clock.h"
#include "depot.h"
#include "fault.h"
#include "workshop.h"

#include <stdlib.h>

typedef struct local {
    mpx_backend_t base;
    mpx_workshop_t *workshop;
} local_t;

static mp_rc_t on_ready(void *arg, mp_bytes_t hello)
{
    (void)hello;
    ((local_t *)arg)->base.ready = true;
    return MP_OK;
}

static mp_rc_t on_failed(void *arg, int64_t now, mp_rc_t rc, const char *problem)
{
    return mpx_backend_fail(&((local_t *)arg)->base, now, rc, MP_EWORKERLOST, problem);
}

static mp_rc_t turn(mpx_backend_t *base, int64_t now)
{
    return mpx_workshop_turn(((local_t *)base)->workshop, now);
}

static void wake(mpx_backend_t *base)
{
    mpx_workshop_wake(((local_t *)base)->workshop);
}

static bool may_sleep(mpx_backend_t *base)
{
    return mpx_workshop_sleep(((local_t *)base)->workshop);
}

static int fd(const mpx_backend_t *base)
{
    return mpx_workshop_fd(((const local_t *)base)->workshop);
}

static int64_t deadline(const mpx_backend_t *base)
{
    return mpx_engine_deadline(base->engine);
}

static void destroy(mpx_backend_t *base)
{
    local_t *self = (local_t *)base;
    mpx_workshop_destroy(&self->workshop);
    free(self);
}

static mp_rc_t resize(mpx_backend_t *base, int64_t now, uint32_t processes)
{
    mp_rc_t rc = mpx_workshop_resize(((local_t *)base)->workshop, now, processes);
    if (rc == MP_OK)
        base->processes = (int)processes;
    return rc;
}

static void stat(const mpx_backend_t *base, mp_pool_stat_t *out)
{
    mpx_workshop_counts_t counts;
    mpx_workshop_counts(((const local_t *)base)->workshop, &counts);
    out->workers = (int)counts.up;
    mpx_pool_stat_turnover(out, &counts.turnover);
}

static size_t worker_stats(const mpx_backend_t *base, int64_t now, mp_worker_stat_t *out,
                           size_t room)
{
    const mpx_workshop_t *workshop = ((const local_t *)base)->workshop;
    size_t count = 0;
    mpx_executor_stat_t stat;
    const mpx_bench_t *bench = mpx_workshop_benches(workshop);
    for (; bench; bench = bench->next, count++)
        if (count < room) {
            mpx_workshop_describe(workshop, bench, now, &stat);
            stat.host = mpx_workshop_host(workshop);
            mpx_worker_stat_fill(&out[count], &stat);
        }
    return count;
}

static const mpx_backend_ops_t ops = {
    .turn = turn,
    .wake = wake,
    .may_sleep = may_sleep,
    .fd = fd,
    .deadline = deadline,
    .destroy = destroy,
    .resize = resize,
    .in_place = mpx_depot_in_place,
    .stat = stat,
    .worker_stats = worker_stats,
};

mp_rc_t mpx_local_new(const mp_pool_options_t *options, mpx_backend_t **out)
{
    local_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a pool");
    self->base.ops = &ops;
    self->base.limits_here = true;
    self->base.matches = true;
    self->base.meets_here = true;
    self->base.processes = options->processes > 0 ? options->processes : mp_cpu_count();
    mpx_workshop_options_t workshop = {
        .crew = {.size = (uint32_t)self->base.processes,
                 .load = options->load,
                 .worker_stdout = options->worker_stdout,
                 .offer_exec = true,
                 .fresh = options->method == MP_SPAWN || options->method == MP_FORKSERVER,
                 .nested = options->nested,
                 .initializer = options->initializer,
                 .initializer_arg = options->initializer_arg,
                 .max_calls = (uint64_t)options->max_calls_per_worker,
                 .max_memory_bytes = options->worker_memory_bytes,
                 .memory_limit_bytes = options->worker_memory_limit_bytes,
                 .memory_cap_bytes = options->worker_memory_cap_bytes},
        .self = self,
        .ready = on_ready,
        .failed = on_failed,
    };
    mp_rc_t rc = mpx_traits_parse(options->have, &workshop.have);
    if (rc == MP_OK)
        rc = mpx_workshop_new(&workshop, &self->workshop);
    if (rc != MP_OK) {
        destroy(&self->base);
        return rc;
    }
    self->base.engine = mpx_workshop_engine(self->workshop);
    *out = &self->base;
    return MP_OK;
}
