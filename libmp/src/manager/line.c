#include "line.h"

#include "channel.h"
#include "clock.h"
#include "fault.h"
#include "life.h"
#include "linger.h"
#include "method.h"
#include "renewer.h"
#include "service.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

enum {
    LINGER_MS = 200,
    FAREWELL_MS = 1000,  /* until a goodbye was heard */
    PAUSE_MS = 5,        /* of silence, after which the channel may be over without a word */
    RETRY_MS = 20,       /* between attempts to connect */
    PATIENCE_MS = 5000,  /* with a manager that is lost; a lease at least */
    ACK_BYTES = 1 << 20, /* of answers that are taken are told, at the latest */
    ACK_ANSWERS = 4096
};

/* What this process has of an object. */
typedef struct hold {
    uint64_t object;
    uint64_t handles;
    bool unlisted;
    UT_hash_handle hh;
} hold_t;

/* The answer that nobody waits for any more may be a hold, which goes back. */
typedef struct orphan {
    uint64_t number;
    uint64_t object;
    uint64_t thread;
    int method;
    struct orphan *prev, *next;
} orphan_t;

struct mpx_line {
    mpx_line_options_t options;
    pthread_mutex_t mutex;
    pthread_cond_t exchanged;
    mpx_channel_t *channel;
    atomic_size_t users;
    size_t waiting; /* for the channel to be exchanged */
    /* under the channel's lock */
    uint64_t tenant, secret, server;
    _Atomic uint32_t lease_ms;
    bool admitted; /* of this channel */
    bool has_held;
    uint64_t next;     /* operation's number */
    uint64_t position; /* answers that we have */
    uint64_t told;     /* of those the manager knows */
    size_t untold_bytes;
    int64_t heard_at;
    mpx_linger_t lingering;
    mpx_errand_t *errands;
    orphan_t *orphans;
    hold_t *holds;
    _Atomic uint64_t lapses;
    mpx_renewal_t renewal;
};

/* ---- sending
 * -------------------------------------------------------------------------------------------- */

static mp_rc_t send_operations(mpx_line_t *self, uint64_t first, uint32_t count,
                               mp_bytes_t operations)
{
    mpx_header_t header = {
        .op = MPX_OP_CALL, .first = first, .count = count, .nonce = self->position};
    self->told = self->position;
    self->untold_bytes = 0;
    return mpx_channel_send(self->channel, &header, operations);
}

/* What didn't leave, as the other side is gone, will be sent to the next one. */
static void send_errand(mpx_line_t *self, mpx_errand_t *errand)
{
    bool is_new = !errand->first;
    if (is_new) {
        errand->first = self->next;
        self->next += errand->count;
    }
    mp_rc_t rc = send_operations(self, errand->first, errand->count, errand->operations);
    if (is_new && (rc == MP_EOF || rc == MP_ECLOSED)) {
        errand->first = 0;
        self->next -= errand->count;
    }
}

/* One operation, by ourselves. */
static void send_own(mpx_line_t *self, mpx_method_t method, uint64_t object, const uint64_t *number)
{
    mpx_buf_t arguments = {0};
    uint8_t bytes[MPX_OPERATION_HEAD + 16];
    if (number && mpx_parcel_add_number(&arguments, *number) != MP_OK)
        return;
    mpx_operation_t operation = {
        .method = method, .object = object, .arguments = mpx_buf_bytes(&arguments)};
    mpx_operation_head(bytes, &operation);
    if (arguments.size)
        memcpy(bytes + MPX_OPERATION_HEAD, arguments.data, arguments.size);
    uint64_t first = self->next++;
    (void)send_operations(self, first, 1, (mp_bytes_t){bytes, MPX_OPERATION_HEAD + arguments.size});
    mpx_buf_free(&arguments);
}

/* ---- answers
 * ---------------------------------------------------------------------------------------------- */

static void give_back(mpx_line_t *self, const orphan_t *orphan, const mpx_answer_t *answer)
{
    bool is_lock = orphan->method == MPX_LOCK_ACQUIRE || orphan->method == MPX_CONDITION_WAIT;
    if (is_lock && answer->results.size)
        send_own(self, MPX_LOCK_RELEASE, orphan->object, &orphan->thread);
    else if (orphan->method == MPX_QUEUE_GET && answer->rc == MP_OK)
        send_own(self, MPX_QUEUE_RETURN, orphan->object, &orphan->number);
    else if (orphan->method == MPX_UNIT_ACQUIRE && answer->rc == MP_OK)
        send_own(self, MPX_UNIT_RELEASE, orphan->object, NULL);
}

static void answer_orphan(mpx_line_t *self, uint64_t number, const mpx_answer_t *answer)
{
    orphan_t *orphan;
    DL_SEARCH_SCALAR(self->orphans, orphan, number, number);
    if (!orphan)
        return;
    give_back(self, orphan, answer);
    DL_DELETE(self->orphans, orphan);
    free(orphan);
}

/* Its thread has it back. */
static void finish(mpx_line_t *self, mpx_errand_t *errand)
{
    DL_DELETE(self->errands, errand);
    mpx_channel_tell(self->channel, &errand->waiter);
}

static bool has_number(const mpx_errand_t *errand, uint64_t number)
{
    return errand->first && number - errand->first < errand->count;
}

/* From both ends: mostly it is the oldest one, or one of the newest beside many that wait long. */
static mpx_errand_t *find_errand(const mpx_line_t *self, uint64_t number)
{
    mpx_errand_t *old = self->errands, *new = old ? old->prev : NULL;
    while (old) {
        if (has_number(old, number))
            return old;
        if (has_number(new, number))
            return new;
        if (old == new || old->next == new)
            break;
        old = old->next;
        new = new->prev;
    }
    return NULL;
}

static void answer_one(mpx_line_t *self, uint64_t number, const mpx_answer_t *answer)
{
    mpx_errand_t *errand = find_errand(self, number);
    if (!errand) {
        answer_orphan(self, number, answer);
        return;
    }
    if ((errand->holds || errand->hold_of) && (answer->rc == MP_OK || answer->rc == MP_EOWNERDEAD))
        self->has_held = true;
    errand->answer(errand->arg, (uint32_t)(number - errand->first), answer);
    if (++errand->answered == errand->count)
        finish(self, errand);
}

/* So that the manager's window doesn't close while we only read. */
static void tell_taken(mpx_line_t *self)
{
    if (self->untold_bytes >= ACK_BYTES || self->position - self->told >= ACK_ANSWERS)
        (void)send_operations(self, self->next, 0, (mp_bytes_t){NULL, 0});
}

static mp_rc_t on_answers(mpx_line_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_answer_t answer;
    mp_rc_t rc = MP_OK;
    self->untold_bytes += payload.size;
    self->heard_at = mpx_now();
    for (uint32_t i = 0; i < header->count && rc == MP_OK; i++) {
        rc = mpx_answer_next(&payload, &answer);
        if (rc != MP_OK || header->nonce + i <= self->position)
            continue; /* it came before the line was lost */
        self->position = header->nonce + i;
        answer_one(self, header->first + i, &answer);
    }
    if (rc != MP_OK || payload.size)
        return mpx_fault(MP_EPROTO, "an ANSWER doesn't hold the %u answers that it says",
                         header->count);
    tell_taken(self);
    return MP_OK;
}

static mp_rc_t on_message(void *arg, const mpx_header_t *header, mp_bytes_t payload)
{
    if (header->op == MPX_OP_ANSWER)
        return on_answers(arg, header, payload);
    if (header->op == MPX_OP_PONG)
        return MP_OK;
    return mpx_fault(MP_EPROTO, "a %s from a manager", mpx_op_name(header->op));
}

/* ---- being let in
 * ------------------------------------------------------------------------------------------- */

static void fail_errands(mpx_line_t *self, mp_rc_t rc, bool only_sent)
{
    mpx_errand_t *errand, *next;
    DL_FOREACH_SAFE (self->errands, errand, next) {
        if (only_sent && !errand->first)
            continue;
        errand->rc = rc;
        finish(self, errand);
    }
}

static void forget_orphans(mpx_line_t *self)
{
    orphan_t *orphan, *next;
    DL_FOREACH_SAFE (self->orphans, orphan, next)
        free(orphan);
    self->orphans = NULL;
}

/* All that we had there is gone: operations that were sent, what kept objects alive. */
static void begin_anew(mpx_line_t *self, mp_rc_t why)
{
    hold_t *hold, *next;
    if (self->has_held)
        atomic_fetch_add(&self->lapses, 1);
    self->has_held = false;
    fail_errands(self, why, true);
    forget_orphans(self);
    self->next = 1;
    self->position = self->told = 0;
    HASH_ITER (hh, self->holds, hold, next) {
        if (hold->handles)
            send_own(self, MPX_OPEN, hold->object, NULL);
    }
}

static void on_admitted(void *arg, const mpx_admit_t *admit)
{
    mpx_line_t *self = arg;
    bool was_there = self->tenant != 0;
    self->tenant = admit->tenant;
    self->secret = admit->secret;
    self->server = admit->server;
    atomic_store(&self->lease_ms, admit->lease_ms ? admit->lease_ms : 3000);
    self->admitted = true;
    if (!admit->resumed)
        begin_anew(self, was_there ? MP_EPEERLOST : MP_OK);
    mpx_errand_t *errand;
    DL_FOREACH (self->errands, errand)
        send_errand(self, errand);
    mpx_renewer_hurry(&self->renewal, self->lease_ms);
}

static const mpx_channel_user_t user = {.admitted = on_admitted, .message = on_message};

/* ---- the channel, and who is in it
 * ----------------------------------------------------------------------------- */

/* A manager with a key of its own is a program's, and so is one without an address; certificates
 * are for brokers. */
static bool may_be_broker(const mpx_line_t *self)
{
    return !self->options.key->data && strncmp(self->options.endpoint, "ipc://@", 7) != 0;
}

static mp_rc_t dial(mpx_line_t *self)
{
    mpx_channel_options_t options = {
        .endpoint = self->options.endpoint,
        .door = MPX_DOOR_MANAGER,
        .object = 0,
        .secret = self->options.secret,
        .key = self->options.key,
        .tenant = self->tenant,
        .tenant_secret = self->secret,
        .no_lane = self->options.no_lane,
        .has_identity = may_be_broker(self),
        .key_file = self->options.key_file,
        .user = &user,
        .arg = self,
    };
    self->admitted = false;
    return mpx_channel_open(&options, &self->channel);
}

/* Nobody is in a call. What was lost with the channel is known when the next one is let in; but if
 * the manager said that the lease ran out, it is known now. */
static mp_rc_t exchange(mpx_line_t *self)
{
    if (self->channel && mpx_channel_rc(self->channel) == MP_ELEASE) {
        self->tenant = 0;
        self->has_held = true;
        mpx_channel_lock(self->channel);
        begin_anew(self, MP_ELEASE);
        mpx_channel_unlock(self->channel);
    }
    mpx_channel_close(&self->channel, 0);
    return dial(self);
}

/* Also one whose end nobody has noticed yet, so that nothing is sent into it: but that costs a
 * system call, so it is looked for only after a pause. Under the channel's lock. */
static bool is_over(mpx_line_t *self)
{
    if (mpx_now() - self->heard_at > PAUSE_MS * MPX_MS)
        mpx_channel_look(self->channel);
    return mpx_channel_rc(self->channel) != MP_OK;
}

static bool must_exchange(mpx_line_t *self)
{
    if (!self->channel)
        return true;
    mpx_channel_lock(self->channel);
    bool over = is_over(self);
    mpx_channel_unlock(self->channel);
    return over;
}

/* The first comes in and the last goes out under the mutex. In between the channel isn't exchanged,
 * and the others need none. */
static bool join(mpx_line_t *self)
{
    size_t users = atomic_load(&self->users);
    while (users > 0)
        if (atomic_compare_exchange_weak(&self->users, &users, users + 1))
            return true;
    return false;
}

static void part(mpx_line_t *self)
{
    size_t users = atomic_load(&self->users);
    while (users > 1)
        if (atomic_compare_exchange_weak(&self->users, &users, users - 1))
            return;
    pthread_mutex_lock(&self->mutex);
    if (--self->users == 0 && self->waiting)
        pthread_cond_broadcast(&self->exchanged);
    pthread_mutex_unlock(&self->mutex);
}

static void leave(mpx_line_t *self)
{
    mpx_channel_unlock(self->channel);
    part(self);
}

/* Be in a call, on a channel that isn't over. MP_OK; MP_ETIMEDOUT; MP_ENOMEM … */
static mp_rc_t enter(mpx_line_t *self, int64_t deadline)
{
    mp_rc_t rc = MP_OK;
    if (join(self)) {
        mpx_channel_lock(self->channel);
        if (!is_over(self))
            return MP_OK;
        leave(self);
    }
    pthread_mutex_lock(&self->mutex);
    /* One look for both: it may be over any time, but is exchanged only if nobody is in a call. */
    bool must = must_exchange(self);
    while (rc == MP_OK && must && self->users > 0) {
        self->waiting++;
        rc = mpx_condition_wait(&self->exchanged, &self->mutex, deadline);
        self->waiting--;
        must = must_exchange(self);
    }
    if (rc == MP_OK && must)
        rc = exchange(self);
    if (rc == MP_OK)
        self->users++;
    pthread_mutex_unlock(&self->mutex);
    if (rc == MP_OK)
        mpx_channel_lock(self->channel);
    return rc;
}

/* In a call, but on whatever channel there is: one that is over isn't exchanged for it. false:
 * there is none, and the mutex is held, so that there won't be. */
static bool look_or_hold(mpx_line_t *self)
{
    pthread_mutex_lock(&self->mutex);
    if (!self->channel)
        return false;
    self->users++;
    pthread_mutex_unlock(&self->mutex);
    mpx_channel_lock(self->channel);
    return true;
}

static bool look(mpx_line_t *self)
{
    bool there = look_or_hold(self);
    if (!there)
        pthread_mutex_unlock(&self->mutex);
    return there;
}

/* Whether another attempt may help, and a moment before it. A broker that shuts down may have a
 * successor, for whom those wait who were let in before. */
static bool may_retry(const mpx_line_t *self, mp_rc_t rc, int64_t deadline)
{
    int64_t now = mpx_now();
    bool was_let_in = atomic_load(&self->lease_ms) != 0;
    bool hopeful = rc == MP_ECONNECT || rc == MP_EOF || rc == MP_ECLOSED || rc == MP_ELEASE ||
                   (rc == MP_EDRAINING && was_let_in);
    if (!hopeful || now >= deadline)
        return false;
    struct timespec pause = {.tv_nsec = RETRY_MS * MPX_MS};
    if (rc != MP_ELEASE)
        (void)nanosleep(&pause, NULL);
    return true;
}

static mp_rc_t why_over(const mpx_line_t *self, mp_rc_t rc)
{
    mp_rc_t code = rc == MP_EOF || rc == MP_ECLOSED ? MP_EPEERLOST : rc;
    return mpx_channel_fault(self->channel, code, "the manager");
}

/* On this channel, until it is admitted. Within enter and leave. */
static mp_rc_t wait_admitted(mpx_line_t *self, int64_t deadline)
{
    while (!self->admitted) {
        mp_rc_t rc = mpx_channel_rc(self->channel);
        if (rc != MP_OK)
            return rc;
        rc = mpx_channel_wait(self->channel, deadline);
        if (rc != MP_OK && !self->admitted)
            return rc;
    }
    return mpx_channel_rc(self->channel);
}

/* In a call, and let in. Tries again as long as there is time, but after `give_up` only if there is
 * somebody. */
static mp_rc_t enter_admitted(mpx_line_t *self, int64_t deadline, int64_t give_up)
{
    mp_rc_t last = MP_OK;
    for (;;) {
        mp_rc_t rc = enter(self, deadline);
        if (rc != MP_OK)
            return rc;
        rc = wait_admitted(self, deadline);
        if (rc == MP_OK)
            return MP_OK;
        mp_rc_t code;
        if (rc != MP_ETIMEDOUT)
            code = why_over(self, rc);
        else if (last == MP_ECONNECT)
            code = mpx_fault(last, "%s: nobody answers there; does its process run?",
                             self->options.endpoint);
        else
            code = mpx_fault(rc, "%s: no answer", self->options.endpoint);
        leave(self);
        if (!may_retry(self, rc, mpx_earlier(deadline, give_up)))
            return code;
        last = rc;
    }
}

static int64_t patience(const mpx_line_t *self)
{
    uint32_t lease_ms = atomic_load(&self->lease_ms);
    return mpx_now() + (lease_ms > PATIENCE_MS ? lease_ms : PATIENCE_MS) * MPX_MS;
}

mp_rc_t mpx_line_reach(mpx_line_t *self, int64_t deadline)
{
    mp_rc_t rc = enter_admitted(self, deadline, deadline);
    if (rc == MP_OK)
        leave(self);
    return rc;
}

/* ---- errands
 * -------------------------------------------------------------------------------------------------------
 */

/* What the answer to an operation gives goes back when it comes. */
static void orphan(mpx_line_t *self, const mpx_errand_t *errand, uint32_t index)
{
    uint64_t object = errand->object;
    int method = errand->hold_of ? errand->hold_of(errand->arg, index, &object) : errand->holds;
    orphan_t *one = method ? calloc(1, sizeof *one) : NULL;
    if (!one)
        return;
    one->number = errand->first + index;
    one->object = object;
    one->thread = mpx_thread_self();
    one->method = method;
    DL_APPEND(self->orphans, one);
}

/* Its time is over: what still waits is called off, and what comes of it goes back. */
static void abandon(mpx_line_t *self, mpx_errand_t *errand)
{
    DL_DELETE(self->errands, errand);
    for (uint32_t i = 0; errand->first && i < errand->count; i++)
        orphan(self, errand, i);
    if (errand->first && errand->count == 1)
        send_own(self, MPX_CANCEL, 0, &errand->first);
}

static void linger(mpx_line_t *self)
{
    int64_t us = self->users > 1 ? 0 : mpx_linger_us(&self->lingering);
    if (us)
        mpx_linger_learn(&self->lingering,
                         mpx_channel_linger(self->channel, mpx_now() + us * INT64_C(1000)));
}

/* The manager has said why it ends the connection, and would again. */
static bool is_turned_away(mp_rc_t rc)
{
    return rc == MP_EPERM || rc == MP_ELIMIT;
}

/* Until it is over, or the channel is; then the call is left. */
static mp_rc_t wait_over(mpx_line_t *self, mpx_errand_t *errand, int64_t deadline)
{
    if (!errand->waiter.over)
        linger(self);
    mp_rc_t rc = mpx_channel_await(self->channel, &errand->waiter, deadline);
    if (rc == MP_OK) {
        part(self);
        return MP_OK;
    }
    mpx_channel_lock(self->channel);
    if (errand->waiter.over) {
        rc = MP_OK;
    } else if (rc == MP_ETIMEDOUT) {
        abandon(self, errand);
        rc = mpx_fault(MP_ETIMEDOUT, "%s: no answer", self->options.endpoint);
    } else if (is_turned_away(rc)) {
        DL_DELETE(self->errands, errand);
        rc = why_over(self, rc);
    }
    leave(self);
    return rc;
}

static mp_rc_t lapsed(const mpx_line_t *self)
{
    return mpx_fault(MP_ELEASE, "the manager at %s has not heard from this process for a lease",
                     self->options.endpoint);
}

static mp_rc_t outcome(const mpx_line_t *self, const mpx_errand_t *errand)
{
    if (errand->rc == MP_EPEERLOST)
        return mpx_fault(MP_EPEERLOST,
                         "the manager at %s was lost meanwhile: whether it was done isn't known",
                         self->options.endpoint);
    return errand->rc == MP_ELEASE ? lapsed(self) : errand->rc;
}

/* The manager could not be reached again. Where there is no channel nobody is in a call, and the
 * mutex is enough. */
static mp_rc_t end_unanswered(mpx_line_t *self, mpx_errand_t *errand, mp_rc_t rc)
{
    bool there = look_or_hold(self);
    if (!errand->waiter.over) {
        DL_DELETE(self->errands, errand);
        if (errand->first)
            rc = mpx_fault(MP_EPEERLOST, "the manager at %s was lost, and doesn't come back",
                           self->options.endpoint);
    } else {
        rc = outcome(self, errand);
    }
    if (there)
        leave(self);
    else
        pthread_mutex_unlock(&self->mutex);
    return rc;
}

/* A channel that is lost is replaced, also for those operations that the manager can still answer.
 */
mp_rc_t mpx_line_run(mpx_line_t *self, mpx_errand_t *errand, int64_t deadline)
{
    errand->first = errand->answered = 0;
    errand->waiter = (mpx_waiter_t){.over = false};
    errand->rc = MP_OK;
    mp_rc_t rc = enter_admitted(self, deadline, patience(self));
    if (rc != MP_OK)
        return rc;
    if (errand->lapses != UINT64_MAX && errand->lapses != atomic_load(&self->lapses)) {
        leave(self);
        return lapsed(self);
    }
    DL_APPEND(self->errands, errand);
    send_errand(self, errand);
    for (;;) {
        rc = wait_over(self, errand, deadline);
        if (rc == MP_OK)
            return outcome(self, errand);
        if (rc == MP_ETIMEDOUT || is_turned_away(rc))
            return rc;
        rc = enter_admitted(self, deadline, patience(self));
        if (rc != MP_OK)
            return end_unanswered(self, errand, rc);
    }
}

void mpx_line_post(mpx_line_t *self, mp_bytes_t operation)
{
    if (enter(self, mpx_now()) != MP_OK)
        return;
    if (self->admitted)
        (void)send_operations(self, self->next++, 1, operation);
    leave(self);
}

/* ---- holds
 * ------------------------------------------------------------------------------------------------------------
 */

static hold_t *find_hold(mpx_line_t *self, uint64_t object, bool make)
{
    hold_t *hold = NULL;
    HASH_FIND(hh, self->holds, &object, sizeof object, hold);
    if (hold || !make)
        return hold;
    hold = calloc(1, sizeof *hold);
    if (!hold)
        return NULL;
    hold->object = object;
    HASH_ADD(hh, self->holds, object, sizeof hold->object, hold);
    if (!hold->unlisted)
        return hold;
    free(hold);
    return NULL;
}

/* The manager counts each OPEN and MAKE; one is enough, so that later ones are dropped again. */
mp_rc_t mpx_line_hold(mpx_line_t *self, uint64_t object, bool is_open)
{
    if (enter(self, mpx_now() + MPX_S) != MP_OK)
        return mpx_fault(MP_EPEERLOST, "the manager at %s", self->options.endpoint);
    hold_t *hold = find_hold(self, object, true);
    if (hold && hold->handles++ > 0 && is_open)
        send_own(self, MPX_DROP, object, NULL);
    leave(self);
    return hold ? MP_OK : mpx_fault(MP_ENOMEM, "a handle");
}

/* Not admitted yet: all handles are opened then. */
mp_rc_t mpx_line_adopt(mpx_line_t *self, uint64_t object)
{
    if (enter(self, mpx_now() + MPX_S) != MP_OK)
        return mpx_fault(MP_EPEERLOST, "the manager at %s", self->options.endpoint);
    hold_t *hold = find_hold(self, object, true);
    if (hold && hold->handles++ == 0 && self->admitted)
        send_own(self, MPX_OPEN, object, NULL);
    leave(self);
    return hold ? MP_OK : mpx_fault(MP_ENOMEM, "a handle");
}

void mpx_line_drop(mpx_line_t *self, uint64_t object)
{
    if (enter(self, mpx_now()) != MP_OK)
        return;
    hold_t *hold = find_hold(self, object, false);
    if (hold && --hold->handles == 0) {
        if (self->admitted)
            send_own(self, MPX_DROP, object, NULL);
        HASH_DEL(self->holds, hold);
        free(hold);
    }
    leave(self);
}

uint64_t mpx_line_server(mpx_line_t *self)
{
    uint64_t server = 0;
    if (look(self)) {
        server = self->server;
        leave(self);
    }
    return server;
}

uint64_t mpx_line_lapses(mpx_line_t *self)
{
    return atomic_load(&self->lapses);
}

/* ---- life
 * --------------------------------------------------------------------------------------------------------------
 */

/* By the renewer's thread: while we hold or wait for something, the manager hears from us. */
static void renew(void *arg)
{
    mpx_line_t *self = arg;
    if (!look(self))
        return;
    if (self->admitted && (self->has_held || self->errands))
        (void)send_operations(self, self->next, 0, (mp_bytes_t){NULL, 0});
    leave(self);
}

mp_rc_t mpx_line_new(const mpx_line_options_t *options, mpx_line_t **out)
{
    mpx_line_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a line to a manager");
    self->options = *options;
    self->next = 1;
    self->renewal = (mpx_renewal_t){.renew = renew, .arg = self};
    pthread_mutex_init(&self->mutex, NULL);
    mpx_condition_init(&self->exchanged);
    mp_rc_t rc = mpx_renewer_watch(&self->renewal);
    if (rc != MP_OK)
        mpx_line_destroy(&self);
    else
        *out = self;
    return rc;
}

/* What is sent over ZeroMQ is sent by a thread that ends with the process. The other side hangs up
 * when it has heard a goodbye. */
static void await_hearing(mpx_channel_t *channel)
{
    int64_t deadline = mpx_now() + FAREWELL_MS * MPX_MS;
    if (strcmp(mpx_channel_carrier(channel), "lane") == 0)
        return;
    while (mpx_channel_rc(channel) == MP_OK && mpx_channel_wait(channel, deadline) == MP_OK)
        ;
}

void mpx_line_farewell(mpx_line_t *self)
{
    if (!look(self))
        return;
    if (self->admitted && mpx_channel_send(self->channel, &(mpx_header_t){.op = MPX_OP_BYE},
                                           (mp_bytes_t){NULL, 0}) == MP_OK)
        await_hearing(self->channel);
    leave(self);
}

void mpx_line_destroy(mpx_line_t **self_p)
{
    mpx_line_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    mpx_renewer_forget(&self->renewal);
    mpx_line_farewell(self);
    mpx_channel_close(&self->channel, LINGER_MS);
    forget_orphans(self);
    hold_t *hold, *next;
    HASH_ITER (hh, self->holds, hold, next) {
        HASH_DEL(self->holds, hold);
        free(hold);
    }
    pthread_cond_destroy(&self->exchanged);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}
