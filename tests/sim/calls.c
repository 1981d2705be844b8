/* calls.c: the history of a run: what was asked for, how often it was begun, what its client was
 * told; and what of that can't be. */
#include "world.h"

#include "clock.h"
#include "keeps.h"
#include "sched.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

typedef struct call {
    order_t order;
    terms_t terms;
    const proc_t *asker;
    int64_t asked_at, begun_at; /* by its clock; that of its last attempt */
    uint64_t key;
    unsigned begun, excused; /* so often */
    uint32_t attempt;
    bool ended, cancelled;
    mp_rc_t rc;
    UT_hash_handle hh;
} call_t;

/* How late a call may begin, by the way from its client, and how early one may end: what is left of
 * its time is told in milliseconds. Deadlines are rounded up to a millisecond. */
enum { LATE_MS = 150, LAPSE_MS = 2 };

static struct {
    call_t *all;
    uint64_t open, count;
} calls;

static uint64_t key_of(const order_t *order)
{
    return (uint64_t)order->client << 32 | (uint64_t)order->job << 16 | order->index;
}

static call_t *find(const order_t *order)
{
    call_t *call = NULL;
    uint64_t key = key_of(order);
    HASH_FIND(hh, calls.all, &key, sizeof key, call);
    return call;
}

static uint16_t mark_of(const order_t *order)
{
    return (uint16_t)((key_of(order) * UINT64_C(0x9E3779B97F4A7C15)) >> 48 ^ order->run_us);
}

void order_mark(order_t *order)
{
    order->mark = mark_of(order);
}

uint64_t order_value(const order_t *order)
{
    return key_of(order) * UINT64_C(0xC2B2AE3D27D4EB4F) + order->deed;
}

bool order_read(mp_bytes_t input, order_t *out)
{
    if (input.size < sizeof *out)
        return false;
    memcpy(out, input.data, sizeof *out);
    return out->mark == mark_of(out) && out->deed < DEEDS;
}

void calls_reset(void)
{
    memset(&calls, 0, sizeof calls);
}

static void take_out(call_t *call)
{
    calls.open -= !call->ended;
    HASH_DEL(calls.all, call);
    free(call);
}

void calls_free(void)
{
    call_t *call, *next;
    HASH_ITER (hh, calls.all, call, next)
        take_out(call);
}

/* What its client's clock says. */
static int64_t clock_of(const call_t *call)
{
    return MPX_S + world->now + call->asker->ahead_ns;
}

void calls_asked(order_t *order, const terms_t *terms)
{
    call_t *call = calloc(1, sizeof *call);
    MUST(call, "no memory");
    order_mark(order);
    call->order = *order;
    call->key = key_of(order);
    call->terms = *terms;
    call->asker = world->current;
    call->asked_at = clock_of(call);
    HASH_ADD(hh, calls.all, key, sizeof call->key, call);
    calls.open++;
    calls.count++;
}

/* Whether things break that may have it begun twice, or late, or ended without a result. */
static bool is_disturbed(const call_t *call)
{
    return suffers(call->asker->local ? PAUSE | JUMP : BREAKS | DISK);
}

/* Not too early, not too late, and not too often. Of what breaks some things are taken twice. */
static void check_begin(call_t *call, uint32_t attempt, bool unwanted)
{
    const order_t *order = &call->order;
    const terms_t *terms = &call->terms;
    int64_t now = clock_of(call);
    MUST(now - call->asked_at >= terms->delay_ns,
         "call %u of job %u begins %.3f ms after it was put, and was to wait for %.3f ms",
         order->index, order->job, (double)(now - call->asked_at) / 1e6,
         (double)terms->delay_ns / 1e6);
    if (is_disturbed(call))
        return;
    MUST(unwanted || calls_overdue(order) < LATE_MS * MPX_MS,
         "call %u of job %u begins %.3f ms after its deadline", order->index, order->job,
         (double)calls_overdue(order) / 1e6);
    MUST(call->begun >= attempt && call->begun <= attempt + call->excused,
         "attempt %u of call %u of job %u is the %uth time that it begins", attempt, order->index,
         order->job, call->begun);
    MUST(attempt <= terms->retries + 1, "call %u of job %u has attempt %u of %u", order->index,
         order->job, attempt, terms->retries + 1);
    MUST(attempt == 1 || now - call->begun_at >= terms->retry_delay_ns << (attempt - 2),
         "call %u of job %u is tried again after %.3f ms", order->index, order->job,
         (double)(now - call->begun_at) / 1e6);
    call->begun_at = now;
    call->attempt = attempt;
}

void calls_begun(const order_t *order, uint32_t attempt, bool unwanted)
{
    call_t *call = find(order);
    if (order->client == 0) {
        keep_begun(order, attempt);
        return;
    }
    trace("%s begins call %u of job %u of client life %u, attempt %u", name_of(world->current),
          order->index, order->job, order->client, attempt);
    if (!call)
        return; /* its client is dead */
    MUST(memcmp(&call->order, order, sizeof *order) == 0, "an input was changed on its way");
    call->begun++;
    check_begin(call, attempt, unwanted);
}

void calls_excused(const order_t *order)
{
    call_t *call = find(order);
    if (call)
        call->excused++;
}

int64_t calls_overdue(const order_t *order)
{
    const call_t *call = find(order);
    return call && call->terms.deadline_ns
               ? clock_of(call) - call->asked_at - call->terms.deadline_ns
               : -1;
}

void calls_check(uint32_t client)
{
    for (const call_t *call = calls.all; call; call = call->hh.next)
        MUST(call->ended || call->order.client != client || calls_overdue(&call->order) < MPX_MS,
             "call %u of job %u has no outcome at its deadline", call->order.index,
             call->order.job);
}

/* What can have brought that about. */
bool order_may_end(const order_t *order, mp_rc_t rc, bool begun, bool cancelled, bool lapsed)
{
    const unsigned breaks = BREAKS & ~KILL_CLIENT;
    deed_t deed = (deed_t)order->deed;
    switch (rc) {
    case MP_OK:
        return begun && (deed == WELL || deed == CRASHES_ONCE);
    case MP_EFAILED:
        return begun && (deed == FAILS || deed == HANGS);
    case MP_ECRASHED:
        return begun && (deed == CRASHES || deed == CRASHES_ONCE);
    case MP_ETIMEDOUT:
        return lapsed || deed == HANGS || (world->faults & (PAUSE | JUMP));
    case MP_ECANCELLED:
        return cancelled;
    case MP_EWORKERLOST:
        return (world->faults & breaks) != 0;
    case MP_EBROKERLOST:
        return !world->strict && (world->faults & (breaks | DISK)) != 0;
    case MP_ENOWORKER:
    case MP_ENOTASK:
        return (world->faults & (breaks | DISK)) != 0;
    case MP_ENEEDS:
        return (world->faults & (breaks | DISK)) != 0 ||
               !goods_are_somewhere(order->needs, order->task);
    case MP_EDRAINING:
        return (world->faults & DRAIN) != 0;
    case MP_ENOSPACE:
        return (world->faults & DISK) != 0;
    default:
        return false;
    }
}

/* Where there is no broker, and its executors are replaced. */
static bool is_of_elsewhere(mp_rc_t rc)
{
    return rc == MP_EWORKERLOST || rc == MP_EBROKERLOST || rc == MP_ENOWORKER || rc == MP_ENOTASK ||
           rc == MP_ENEEDS || rc == MP_EDRAINING || rc == MP_ENOSPACE;
}

/* It has had the attempts that it was promised. */
static void check_attempts(const call_t *call, mp_rc_t rc)
{
    static const struct {
        mp_rc_t rc;
        uint32_t cause;
    } causes[] = {{MP_EFAILED, MPX_RETRY_FAILED}, {MP_ECRASHED, MPX_RETRY_CRASHED}};
    const terms_t *terms = &call->terms;
    const order_t *order = &call->order;
    if (is_disturbed(call))
        return;
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        if (causes[i].rc != rc)
            continue;
        bool wanted = !terms->retry_on || (terms->retry_on & causes[i].cause);
        uint32_t attempts = wanted ? terms->retries + 1 : 1;
        if (rc == MP_ECRASHED && attempts > terms->crashes_max)
            attempts = terms->crashes_max;
        MUST(call->attempt == attempts || (order->deed != FAILS && order->deed != CRASHES),
             "call %u of job %u has ended with %s after %u of %u attempts", order->index,
             order->job, mp_errname(rc), call->attempt, attempts);
    }
}

void calls_ended(const order_t *order, mp_rc_t rc, mp_bytes_t value)
{
    call_t *call = find(order);
    trace("client life %u: call %u of job %u has ended: %s", order->client, order->index,
          order->job, mp_errname(rc));
    MUST(call, "a call has ended that nobody asked for");
    MUST(!call->ended, "call %u of job %u has two outcomes: %s, and now %s", order->index,
         order->job, mp_errname(call->rc), mp_errname(rc));
    bool lapsed = call->terms.deadline_ns && calls_overdue(order) >= -LAPSE_MS * MPX_MS;
    MUST(order_may_end(order, rc, call->begun > 0, call->cancelled, lapsed),
         "call %u of job %u (deed %u, begun %u times) can't end with %s", order->index, order->job,
         order->deed, call->begun, mp_errname(rc));
    MUST(!call->asker->local || !is_of_elsewhere(rc),
         "call %u of job %u of a pool on its own host can't end with %s", order->index, order->job,
         mp_errname(rc));
    check_attempts(call, rc);
    uint64_t expected = order_value(order);
    MUST(rc != MP_OK ||
             (value.size == sizeof expected && memcmp(value.data, &expected, sizeof expected) == 0),
         "call %u of job %u has another one's value", order->index, order->job);
    call->ended = true;
    call->rc = rc;
    calls.open--;
}

void calls_cancelled(const order_t *order)
{
    call_t *call = find(order);
    if (call)
        call->cancelled = true;
}

void calls_dropped(const order_t *order)
{
    call_t *call = find(order);
    if (call)
        take_out(call);
}

void calls_forget(uint32_t client)
{
    call_t *call, *next;
    HASH_ITER (hh, calls.all, call, next)
        if (call->order.client == client)
            take_out(call);
}

uint64_t calls_open(void)
{
    return calls.open;
}

uint64_t calls_count(void)
{
    return calls.count;
}

void calls_list_open(void)
{
    unsigned shown = 0;
    for (const call_t *call = calls.all; call && shown < 8; call = call->hh.next)
        if (!call->ended && ++shown)
            trace("still open: call %u of job %u of client life %u, deed %u, begun %u times",
                  call->order.index, call->order.job, call->order.client, call->order.deed,
                  call->begun);
}
