#include "visits.h"

#include "clock.h"
#include "deposit.h"
#include "drive.h"
#include "keeps.h"
#include "lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What takes an answer. */
typedef enum wish { NONE, SETTLE, LEAVE, DROP, WAIT } wish_t;

typedef struct visit {
    keep_t *keep;
    mpx_deposit_t *deposit;
    bool puts;  /* it makes the job; else it came by its id */
    bool whole; /* it was all there when we came */
    bool closed, had_all;
    uint32_t put;
    wish_t wish;
    bool (*ready)(const void *); /* whether it was answered */
    mp_job_info_t info;
} visit_t;

enum { VISITS_OPEN = 2, PADDING_MAX = 23 };

struct visits {
    proc_t *proc;
    mp_pool_t pool;
    visit_t open[VISITS_OPEN];
    unsigned keeps_left;
    unsigned submits;
    lists_t *lists;
};

/* ---- the pool's waits ---------------------------------------------------------------- */

/* A wait is over at once: with what is so now, or as if it had been waited for. */
static bool opening; /* a deposit: it goes on by itself */
static const mpx_listen_t nobody_listens;
static bool (*granted)(const void *);
static bool (*waits_for)(const void *);

mp_rc_t __wrap_mpx_pool_wait(mp_pool_t *pool, bool (*ready)(const void *), const void *arg,
                             int64_t deadline);
mp_rc_t __wrap_mpx_pool_settle(mp_pool_t *pool);

mp_rc_t __wrap_mpx_pool_wait(mp_pool_t *pool, bool (*ready)(const void *), const void *arg,
                             int64_t deadline)
{
    (void)pool, (void)deadline;
    waits_for = ready;
    return opening || ready == granted || ready(arg) ? MP_OK : MP_ETIMEDOUT;
}

mp_rc_t __wrap_mpx_pool_settle(mp_pool_t *pool)
{
    (void)pool;
    return MP_OK;
}

/* ---- one visit ----------------------------------------------------------------------- */

static const char *const task_names[] = {"t0", "t1", "t2"};

static bool is_open(const visit_t *visit)
{
    return visit->deposit != NULL;
}

/* Each has a client that sees to it in the end: of those that can. */
static bool is_mine(const visits_t *self, const keep_t *keep)
{
    unsigned clients = 0, before = 0;
    for (unsigned i = 0; i < world->procs_count; i++) {
        const proc_t *proc = &world->procs[i];
        if (proc->role != CLIENT || proc->local)
            continue;
        before += proc->number < self->proc->number;
        clients++;
    }
    return keep->number % clients == before;
}

static mpx_job_spec_t spec_of(const keep_t *keep)
{
    mpx_job_spec_t spec = {.open = {.task = task_names[keep->task],
                                    .signature = "order -> u64",
                                    .label = "",
                                    .grace_ms = 20,
                                    .needs = goods_text(keep->needs)},
                           .chunk_calls = keep->chunk_calls,
                           .retries = keep->terms.retries,
                           .retry_on = keep->terms.retry_on,
                           .crashes_max = keep->terms.crashes_max};
    if (keep->limited)
        spec.open.call_limit_ms = 60;
    return spec;
}

static void begin(visits_t *self, keep_t *keep, bool puts)
{
    visit_t *visit = is_open(&self->open[0]) ? &self->open[1] : &self->open[0];
    mp_call_options_t options = {.key = *keep->key ? keep->key : NULL,
                                 .keep_ms = keep->keep_ms,
                                 .retry_delay_ms = (int)(keep->terms.retry_delay_ns / MPX_MS),
                                 .dead_letters = keep->dead_letters ? (int)one_in(2) : -1,
                                 .name = keep->id,
                                 .worker_wait_ms = keep->calls % 2 ? 5000 : 0};
    mpx_job_spec_t spec = spec_of(keep);
    char id[KEEP_TEXT];
    spec.open.wait_ms = (uint32_t)options.worker_wait_ms;
    snprintf(id, sizeof id, "%s", keep->id);
    if (*keep->key)
        snprintf(id, sizeof id, "keep-%u.%d.%u", keep->number, self->proc->pid, ++self->submits);
    if (is_open(visit))
        return;
    *visit = (visit_t){.keep = keep, .puts = puts, .whole = keep->sure};
    opening = true;
    mp_rc_t rc = mpx_deposit_new(&self->pool, puts ? &spec : NULL, puts ? &options : NULL, id,
                                 &nobody_listens, 0, &visit->deposit);
    opening = false;
    MUST(rc == MP_OK, "a kept job can't be opened: %s (%s)", mp_errname(rc), mp_errmsg());
    trace("%s %s kept job %s, %u calls%s%s", name_of(self->proc), puts ? "makes" : "comes back to",
          id, keep->calls, *keep->key ? ", key " : "", keep->key);
    keep->visits++;
    keep->visited++;
}

static void end(visits_t *self, visit_t *visit, const char *how)
{
    trace("%s %s kept job %s", name_of(self->proc), how, visit->keep->id);
    visit->keep->visits--;
    mpx_deposit_free(visit->deposit);
    *visit = (visit_t){0};
}

/* What may have brought that about. */
/* Who came before it was there may be told late that it isn't. */
static bool is_plausible(const visit_t *visit, mp_rc_t rc)
{
    const keep_t *keep = visit->keep;
    switch (rc) {
    case MP_ENOTFOUND:
        return keep_may_be_gone(keep) || (!visit->puts && !visit->whole);
    case MP_EEXIST: /* it is closed, by who has cancelled it */
        return keep->cancelled;
    case MP_ESTATE: /* another one takes */
        return keep->visited > 1;
    case MP_ENOSPACE:
        return suffers(DISK);
    case MP_ELIMIT:
        return suffers(LIMITS);
    case MP_EDRAINING:
        return suffers(DRAIN);
    case MP_ECLOSED:
        return keep->cancelled;
    default:
        return false;
    }
}

/* false: it is over, by trouble. */
static bool goes_on(visits_t *self, visit_t *visit, mp_rc_t rc)
{
    char words[128];
    keep_t *keep = visit->keep;
    if (rc == MP_OK || rc == MP_ETIMEDOUT)
        return true;
    MUST(is_plausible(visit, rc), "kept job %s (%s): %s (%s)", keep->id,
         keep->sure ? "all of it is there" : "not all was put", mp_errname(rc), mp_errmsg());
    if (rc == MP_ENOTFOUND && (!visit->puts || visit->wish == DROP))
        keep->over = keep->visits == 1; /* another one may be about to make it */
    snprintf(words, sizeof words, "hears %s of", mp_errname(rc));
    end(self, visit, words);
    return false;
}

static mp_rc_t put_some(visit_t *visit)
{
    keep_t *keep = visit->keep;
    mp_task_t task = {.name = task_names[keep->task]};
    mp_rc_t rc = MP_OK;
    task.in.bytes = keep->fixed ? sizeof keep->orders[0] : 0;
    for (uint64_t n = chance(KEEP_CALLS_MAX) + 1; n > 0 && visit->put < keep->calls; n--) {
        unsigned char input[sizeof keep->orders[0] + PADDING_MAX] = {0};
        size_t size = sizeof keep->orders[0] + (keep->fixed ? 0 : visit->put * 5 % PADDING_MAX);
        memcpy(input, &keep->orders[visit->put], sizeof keep->orders[0]);
        rc = mpx_deposit_put(visit->deposit, &task, (mp_bytes_t){input, size}, 0);
        if (rc != MP_OK)
            return rc;
        visit->put++;
    }
    if (visit->put == keep->calls && one_in(2)) {
        mpx_deposit_close(visit->deposit);
        visit->closed = true;
    }
    return MP_OK;
}

/* Submits with one key are one job, as long as there is one. */
static void compare_id(const visit_t *visit)
{
    keep_t *keep = visit->keep;
    const char *id = mpx_deposit_id(visit->deposit);
    if (!*keep->key)
        return;
    MUST(!*keep->there || strcmp(keep->there, id) == 0 || keep_may_be_gone(keep),
         "the submit of %s became job %s, and an earlier one job %s", keep->key, id, keep->there);
    snprintf(keep->there, sizeof keep->there, "%s", id);
}

static mp_rc_t take_some(visit_t *visit)
{
    mpx_record_t record;
    uint64_t index = 0;
    for (uint64_t n = chance(KEEP_CALLS_MAX) + 1; n > 0; n--) {
        mp_rc_t rc = mpx_deposit_next(visit->deposit, &record, &index, 0);
        if (rc == MP_EOF && !visit->had_all) {
            visit->had_all = true;
            trace("that was all of kept job %s", visit->keep->id);
        }
        if (rc != MP_OK)
            return rc == MP_EOF ? MP_OK : rc;
        trace("%s of call %llu of kept job %s", mp_errname(record.rc), (unsigned long long)index,
              visit->keep->id);
        compare_id(visit);
        keep_given(visit->keep, index, record.rc, record.value);
        visit->keep->fates[index].given = true;
    }
    return MP_OK;
}

static void cancel(const visits_t *self, visit_t *visit)
{
    trace("%s cancels kept job %s", name_of(self->proc), visit->keep->id);
    visit->keep->cancelled = true;
    visit->keep->may_go = true;
    visit->closed = true;
    visit->put = visit->keep->calls;
    mpx_deposit_cancel(visit->deposit);
}

static bool has_put_all(const visit_t *visit)
{
    return !visit->puts || visit->closed;
}

static mp_rc_t ask_for(visit_t *visit, wish_t wish)
{
    switch (wish) {
    case SETTLE:
        return mpx_deposit_settle(visit->deposit, 0);
    case LEAVE:
        return mpx_deposit_leave(visit->deposit, 0);
    case DROP:
        return mpx_deposit_drop(visit->deposit, 0);
    case WAIT:
        return mpx_deposit_wait(visit->deposit, &visit->info, 0);
    case NONE:
        break;
    }
    return MP_OK;
}

static void is_granted(visits_t *self, visit_t *visit, wish_t wish)
{
    keep_t *keep = visit->keep;
    switch (wish) {
    case LEAVE:
        keep->sure |= visit->puts && !keep->cancelled;
        /* One that isn't closed stays, though nobody can put more of it. */
        keep->over = visit->had_all && !*keep->key && keep->visits == 1 &&
                     (visit->whole || visit->puts || keep->cancelled);
        end(self, visit, "leaves");
        break;
    case DROP:
        keep->over = keep->visits == 1;
        end(self, visit, "has dropped");
        break;
    case WAIT:
        MUST(visit->info.calls == visit->info.ended, "kept job %s has ended: %llu of %llu calls",
             keep->id, visit->info.ended, visit->info.calls);
        break;
    case SETTLE:
    case NONE:
        break;
    }
}

/* Begin to wish, or look whether it was granted. */
static void wish_for(visits_t *self, visit_t *visit, wish_t wish)
{
    bool again = visit->wish != NONE;
    if (wish == DROP)
        visit->keep->may_go = true;
    if (again && !visit->ready(visit->deposit))
        return;
    visit->wish = wish;
    granted = again ? visit->ready : NULL;
    mp_rc_t rc = ask_for(visit, wish);
    granted = NULL;
    visit->ready = waits_for;
    if (rc == MP_ETIMEDOUT || !goes_on(self, visit, rc))
        return;
    visit->wish = NONE;
    is_granted(self, visit, wish);
}

/* When nothing breaks any more: all that was promised is taken, the rest is dropped. */
static void wind_up(visits_t *self, visit_t *visit)
{
    keep_t *keep = visit->keep;
    bool hopeless = !visit->puts && !keep->sure && keep->visits == 1;
    /* Outcomes of a job with a key stay; and when what was put and the jobs themselves are as much
     * as may be kept, nothing moves. */
    bool in_the_way = suffers(LIMITS) && one_in(*keep->key ? 32 : 1024);
    if (visit->wish == WAIT)
        visit->wish = NONE;
    if (visit->wish)
        wish_for(self, visit, visit->wish);
    else if (hopeless || in_the_way || (*keep->key && (visit->had_all || keep->cancelled)))
        wish_for(self, visit, DROP);
    else if (!has_put_all(visit))
        (void)goes_on(self, visit, put_some(visit));
    else if (visit->had_all)
        wish_for(self, visit, LEAVE);
    else if (goes_on(self, visit, take_some(visit)) && visit->had_all && visit->whole)
        keep_ended(keep, keep->calls);
}

static void step(visits_t *self, visit_t *visit)
{
    uint64_t what = chance(24);
    bool may = suffers(CANCEL) && one_in(4);
    if (visit->wish)
        wish_for(self, visit, visit->wish);
    else if (!has_put_all(visit) && what < 16)
        (void)goes_on(self, visit, put_some(visit));
    else if (what < 18)
        (void)goes_on(self, visit, take_some(visit));
    else if (what == 18)
        wish_for(self, visit, SETTLE);
    else if (what == 19 && has_put_all(visit))
        wish_for(self, visit, WAIT);
    else if (what == 20 && may)
        cancel(self, visit);
    else if (what == 21 && may)
        wish_for(self, visit, DROP);
    else if (what == 22 && one_in(4))
        end(self, visit, "forgets");
    else if (has_put_all(visit))
        wish_for(self, visit, LEAVE);
}

/* ---- the client ---------------------------------------------------------------------- */

visits_t *visits_new(proc_t *proc, mpx_backend_t *backend, unsigned keeps)
{
    visits_t *self = calloc(1, sizeof *self);
    MUST(self, "no memory");
    self->proc = proc;
    self->pool.backend = backend;
    self->keeps_left = keeps;
    self->lists = lists_new(proc, backend);
    return self;
}

/* Any of those that are left to this client. */
static keep_t *left_over(const visits_t *self)
{
    keep_t *keep;
    for (size_t i = 0; (keep = keep_at(i)); i++)
        if (!keep->over && !keep->asked && keep->visits == 0 && is_mine(self, keep))
            return keep;
    return NULL;
}

static bool all_are_over(void)
{
    const keep_t *keep;
    for (size_t i = 0; (keep = keep_at(i)); i++)
        if (!keep->over)
            return false;
    return true;
}

static void open_one(visits_t *self)
{
    keep_t *keep = NULL;
    bool has_room = !is_open(&self->open[0]) || !is_open(&self->open[1]);
    if (!has_room)
        return;
    if (world->calm) {
        keep = left_over(self);
        if (keep)
            begin(self, keep, *keep->key);
        return;
    }
    if (self->keeps_left && one_in(3) && (keep = keep_new())) {
        self->keeps_left--;
        begin(self, keep, true);
    } else if (one_in(4) && (keep = keep_some())) {
        begin(self, keep, *keep->key);
    }
}

void visits_act(visits_t *self)
{
    for (size_t i = 0; i < VISITS_OPEN; i++)
        if (is_open(&self->open[i])) {
            if (world->calm)
                wind_up(self, &self->open[i]);
            else
                step(self, &self->open[i]);
        }
    if (world->closing)
        return;
    open_one(self);
    lists_act(self->lists, all_are_over());
}

bool visits_are_over(const visits_t *self)
{
    for (size_t i = 0; i < VISITS_OPEN; i++)
        if (is_open(&self->open[i]))
            return false;
    return !world->calm || (!left_over(self) && lists_are_over(self->lists));
}

void visits_free(visits_t *self)
{
    for (size_t i = 0; i < VISITS_OPEN; i++)
        if (is_open(&self->open[i]))
            end(self, &self->open[i], "is gone from");
    lists_free(self->lists);
    mpx_buf_free(&self->pool.unsure);
    free(self);
}
