#include <mp/queue.h>

#include "away.h"
#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "leave.h"
#include "life.h"
#include "owner.h"
#include "queue.h"
#include "reference.h"
#include "service.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

enum { LINGER_MS = 5000 };

static const size_t default_bytes = (size_t)256 << 20;
static const size_t default_item_bytes = (size_t)64 << 20;

/* What is written once, when the handle is made, holds in every forked child. The rest is this
 * process's: in a child it is begun anew with the first call. */
struct mp_queue {
    char endpoint[MPX_ENDPOINT_MAX]; /* where others come to it */
    char address[MPX_ENDPOINT_MAX + 24];
    mpx_key_t key;
    uint64_t life; /* of the reception, and its name; 0: it is reached by an address alone */
    uint64_t reception;
    uint64_t id;
    uint64_t secret;
    bool has_address;
    bool no_lane;
    bool joinable;
    bool settle_explicitly;
    int linger_ms;
    uint64_t owned; /* generation of the process that owns it, plus 1; 0: another program's */
    mpx_owner_t *owner;

    _Atomic uint64_t generation; /* whose the rest is */
    mpx_away_t *away;
    atomic_bool closed;
    unsigned users; /* threads in a call */
    struct mp_queue *prev, *next;
};

/* Guards the lists and the second half of all handles. Held for short. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t generation;
static mp_queue_t *connected; /* with a away: to be flushed when the process ends */
static uint64_t last_id;

static void install(void)
{
    mpx_forkguard_renew(&lock);
}

static void enter(void)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    if (generation != mpx_fork_generation())
        connected = NULL;
    generation = mpx_fork_generation();
}

static void leave(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- making
 * ---------------------------------------------------------------------------------------- */

static void fill_defaults(mp_queue_options_t *options)
{
    if (!options->max_bytes)
        options->max_bytes = default_bytes;
    if (!options->max_item_bytes)
        options->max_item_bytes =
            default_item_bytes < options->max_bytes ? default_item_bytes : options->max_bytes;
}

static mp_rc_t check(const mp_queue_options_t *options)
{
    if (options->max_item_bytes > options->max_bytes || options->max_item_bytes > MPX_PARCEL_MAX)
        return mpx_fault(MP_EINVAL, "max_item_bytes is more than max_bytes, or than %u",
                         MPX_PARCEL_MAX);
    if (options->joinable && options->settle_explicitly)
        return mpx_fault(MP_EINVAL, "a joinable queue is settled by task_done");
    if (!options->endpoint)
        return MP_OK;
    mp_rc_t rc = mpx_endpoint_check(options->endpoint, true);
    if (rc == MP_OK && !options->key && !mpx_endpoint_is_local(options->endpoint))
        rc = mpx_fault(MP_EPERM, "%s: a queue that others than this host can reach needs a key",
                       options->endpoint);
    return rc;
}

static mp_queue_t *new_handle(void)
{
    mp_queue_t *self = calloc(1, sizeof *self);
    if (self) {
        self->linger_ms = LINGER_MS;
        atomic_init(&self->generation, mpx_fork_generation());
        atomic_init(&self->closed, false);
    }
    return self;
}

/* "ipc://@mp-LIFE-RANDOM" */
static bool name_reception(mp_queue_t *self)
{
    unsigned long long life, random;
    if (sscanf(self->endpoint, "ipc://@mp-%llx-%llx", &life, &random) != 2) // NOLINT(cert-err34-c)
        return false;
    self->life = life;
    self->reception = random;
    return true;
}

static mp_rc_t make_owner(mp_queue_t *self, const mp_queue_options_t *options)
{
    mpx_owner_options_t owner = {
        .queue = *options, .id = self->id, .secret = self->secret, .key = &self->key};
    mpx_service_enter();
    mp_rc_t rc = mpx_reception(!self->no_lane && mpx_link_lanes_allowed(), &owner.reception);
    if (rc == MP_OK)
        rc = mpx_owner_new(&owner, &self->owner);
    if (rc == MP_OK) {
        snprintf(self->endpoint, sizeof self->endpoint, "%s", mpx_hub_endpoint(owner.reception));
        const char *bound = mpx_owner_endpoint(self->owner);
        self->has_address = bound != NULL;
        if (bound)
            snprintf(self->address, sizeof self->address, "%s/%llu", bound,
                     (unsigned long long)self->id);
    }
    mpx_service_leave();
    return rc;
}

mp_rc_t mp_queue_new(const mp_queue_options_t *given, mp_queue_t **out)
{
    mp_queue_options_t options = given ? *given : (mp_queue_options_t){0};
    fill_defaults(&options);
    mp_rc_t rc = check(&options);
    if (rc != MP_OK)
        return rc;
    mp_queue_t *self = new_handle();
    if (!self)
        return mpx_fault(MP_ENOMEM, "a queue");
    enter();
    self->id = ++last_id;
    leave();
    self->no_lane = options.no_lane;
    self->joinable = options.joinable;
    self->settle_explicitly = options.settle_explicitly;
    self->linger_ms = options.linger_ms ? options.linger_ms : LINGER_MS;
    rc = mpx_key_copy(&self->key, options.key, options.key_bytes);
    if (rc == MP_OK && getrandom(&self->secret, sizeof self->secret, 0) != sizeof self->secret)
        rc = mpx_fault_errno("random bytes");
    if (rc == MP_OK)
        rc = make_owner(self, &options);
    if (rc == MP_OK && !name_reception(self))
        rc = mpx_fault(MP_ESYSTEM, "the reception has no name");
    if (rc != MP_OK) {
        mpx_key_free(&self->key);
        free(self);
        return rc;
    }
    self->owned = mpx_fork_generation() + 1;
    *out = self;
    return MP_OK;
}

mp_rc_t mp_joinable_queue_new(const mp_queue_options_t *given, mp_queue_t **out)
{
    mp_queue_options_t options = given ? *given : (mp_queue_options_t){0};
    options.joinable = true;
    return mp_queue_new(&options, out);
}

mp_rc_t mp_simple_queue_new(mp_queue_t **out)
{
    return mp_queue_new(NULL, out);
}

const char *mp_queue_address(const mp_queue_t *self)
{
    return self->has_address ? self->address : NULL;
}

/* "tcp://HOST:PORT/NUMBER", "ipc:///PATH/NUMBER" */
mp_rc_t mp_queue_connect(const char *address, const void *key, size_t key_bytes, mp_queue_t **out)
{
    const char *slash = address ? strrchr(address, '/') : NULL;
    char *end = NULL;
    unsigned long long id = slash && slash[1] ? strtoull(slash + 1, &end, 10) : 0;
    if (!slash || !id || *end || (size_t)(slash - address) >= MPX_ENDPOINT_MAX)
        return mpx_fault(MP_EINVAL,
                         "%s: a queue's address ends with its number, as in "
                         "tcp://host:5555/1",
                         address ? address : "(null)");
    mp_queue_t *self = new_handle();
    if (!self)
        return mpx_fault(MP_ENOMEM, "a queue");
    snprintf(self->endpoint, sizeof self->endpoint, "%.*s", (int)(slash - address), address);
    snprintf(self->address, sizeof self->address, "%s", address);
    self->has_address = true;
    self->id = id;
    mp_rc_t rc = mpx_endpoint_check(self->endpoint, false);
    if (rc == MP_OK)
        rc = mpx_key_copy(&self->key, key, key_bytes);
    if (rc != MP_OK)
        free(self);
    else
        *out = self;
    return rc;
}

/* ---- references
 * ------------------------------------------------------------------------------------- */

enum { LANE_BIT = 1 };

mp_rc_t mp_queue_ref(const mp_queue_t *self, mp_ref_t *out)
{
    if (!self->life)
        return mpx_fault(MP_EUNPASSABLE, "%s: pass the address of this queue instead",
                         self->address);
    uint64_t flags = (uint64_t)self->no_lane | (uint64_t)self->joinable << 1 |
                     (uint64_t)self->settle_explicitly << 2;
    *out = (mp_ref_t){{mpx_reference_word(MPX_KIND_QUEUE), self->life, self->reception, self->id,
                       self->secret, flags}};
    return MP_OK;
}

mp_rc_t mp_queue_open(const mp_ref_t *ref, mp_queue_t **out)
{
    if (!ref || ref->word[0] != mpx_reference_word(MPX_KIND_QUEUE) || !ref->word[1] ||
        !ref->word[3])
        return mpx_fault(MP_EINVAL, "not a reference to a queue");
    mp_queue_t *self = new_handle();
    if (!self)
        return mpx_fault(MP_ENOMEM, "a queue");
    self->life = ref->word[1];
    self->reception = ref->word[2];
    self->id = ref->word[3];
    self->secret = ref->word[4];
    self->no_lane = ref->word[5] & 1;
    self->joinable = ref->word[5] & 2;
    self->settle_explicitly = ref->word[5] & 4;
    snprintf(self->endpoint, sizeof self->endpoint, "ipc://@mp-%llx-%llx",
             (unsigned long long)self->life, (unsigned long long)self->reception);
    *out = self;
    return MP_OK;
}

/* ---- this process's part
 * ------------------------------------------------------------------------------ */

static bool is_owner(const mp_queue_t *self)
{
    return self->owned == mpx_fork_generation() + 1;
}

/* Under the lock. */
static void begin_anew(mp_queue_t *self)
{
    if (atomic_load(&self->generation) == mpx_fork_generation())
        return;
    self->away = NULL; /* the parent's: left alone */
    self->users = 0;
    atomic_store(&self->closed, false);
    atomic_store(&self->generation, mpx_fork_generation());
}

static void flush_all(void);

static mp_rc_t connect_remote(mp_queue_t *self)
{
    mpx_away_options_t options = {
        .endpoint = self->endpoint,
        .key = &self->key,
        .id = self->id,
        .secret = self->secret,
        .no_lane = self->no_lane,
    };
    if (self->away && self->users == 0 && mpx_away_was_never_reached(self->away)) {
        mpx_away_free(&self->away);
        DL_DELETE(connected, self);
    }
    if (self->away)
        return MP_OK;
    mp_rc_t rc = mpx_leave_add(MPX_STAGE_FLUSH, flush_all);
    if (rc == MP_OK)
        rc = mpx_away_new(&options, &self->away);
    if (rc == MP_OK)
        DL_APPEND(connected, self);
    return rc;
}

/* The away stays while a call of this process is in it. */
static mp_rc_t begin(mp_queue_t *self, mpx_away_t **out)
{
    enter();
    begin_anew(self);
    mp_rc_t rc = MP_OK;
    if (atomic_load(&self->closed))
        rc = mpx_fault(MP_ECLOSED, "this process has closed the queue");
    else if (!is_owner(self))
        rc = connect_remote(self);
    if (rc == MP_OK) {
        self->users++;
        *out = self->away;
    }
    leave();
    return rc;
}

static mp_rc_t end(mp_queue_t *self, mp_rc_t rc)
{
    enter();
    self->users--;
    leave();
    return rc;
}

/* The process ends: whoever still puts loses what it puts from here on. */
static void flush_all(void)
{
    enter();
    while (connected) {
        mp_queue_t *self = connected;
        DL_DELETE(connected, self);
        atomic_store(&self->closed, true);
        mpx_away_t *away = self->users == 0 ? self->away : NULL;
        if (away)
            self->away = NULL;
        leave();
        if (away)
            (void)mpx_away_close(&away, self->linger_ms > 0 ? self->linger_ms : 0);
        enter();
    }
    leave();
}

mp_rc_t mp_queue_close(mp_queue_t *self, int timeout_ms)
{
    enter();
    begin_anew(self);
    bool was_closed = atomic_exchange(&self->closed, true);
    mpx_away_t *away = self->users == 0 ? self->away : NULL;
    if (away) {
        self->away = NULL;
        DL_DELETE(connected, self);
    }
    leave();
    if (!was_closed && is_owner(self))
        mpx_owner_leave(self->owner);
    return away ? mpx_away_close(&away, timeout_ms) : MP_OK;
}

void mp_queue_destroy(mp_queue_t **self_p)
{
    if (!self_p || !*self_p)
        return;
    mp_queue_t *self = *self_p;
    *self_p = NULL;
    (void)mp_queue_close(self, self->linger_ms > 0 ? self->linger_ms : 0);
    if (is_owner(self)) {
        mpx_service_enter();
        mpx_owner_destroy(&self->owner);
        mpx_service_leave();
    }
    mpx_key_free(&self->key);
    free(self);
}

/* ---- calls
 * -------------------------------------------------------------------------------------------- */

mp_rc_t mp_queue_put_item(mp_queue_t *self, mp_item_kind_t kind, const void *data, size_t size,
                          int timeout_ms)
{
    mpx_away_t *away = NULL;
    if ((!data && size) || (unsigned)kind > MP_ITEM_MESSAGE)
        return mpx_fault(MP_EINVAL, "an item of %zu bytes at NULL, or of no kind", size);
    mp_rc_t rc = begin(self, &away);
    if (rc != MP_OK)
        return rc;
    mp_bytes_t bytes = {data, size};
    rc = away ? mpx_away_put(away, kind, bytes, timeout_ms)
              : mpx_owner_put(self->owner, kind, bytes, timeout_ms);
    return end(self, rc);
}

mp_rc_t mp_queue_put(mp_queue_t *self, const void *data, size_t size, int timeout_ms)
{
    return mp_queue_put_item(self, MP_ITEM_BYTES, data, size, timeout_ms);
}

mp_rc_t mp_queue_put_nowait(mp_queue_t *self, const void *data, size_t size)
{
    return mp_queue_put(self, data, size, 0);
}

mp_rc_t mp_queue_put_tree(mp_queue_t *self, const mp_tree_t *tree, int timeout_ms)
{
    void *data = NULL;
    size_t size = 0;
    mp_rc_t rc = mp_tree_encode(tree, NULL, &data, &size);
    if (rc == MP_OK)
        rc = mp_queue_put_item(self, MP_ITEM_TREE, data, size, timeout_ms);
    free(data);
    return rc;
}

static mp_rc_t get(mp_queue_t *self, const mpx_wanted_t *wanted, int timeout_ms)
{
    mpx_away_t *away = NULL;
    mp_rc_t rc = begin(self, &away);
    if (rc != MP_OK)
        return rc;
    rc = away ? mpx_away_get(away, wanted, timeout_ms)
              : mpx_owner_get(self->owner, wanted, timeout_ms);
    return end(self, rc);
}

mp_rc_t mp_queue_get(mp_queue_t *self, void *buffer, size_t room, size_t *size, int timeout_ms)
{
    if (!buffer && room)
        return mpx_fault(MP_EINVAL, "a buffer of %zu bytes at NULL", room);
    return get(self, &(mpx_wanted_t){.buffer = buffer, .room = room, .size = size}, timeout_ms);
}

mp_rc_t mp_queue_get_nowait(mp_queue_t *self, void *buffer, size_t room, size_t *size)
{
    return mp_queue_get(self, buffer, room, size, 0);
}

mp_rc_t mp_queue_get_item(mp_queue_t *self, mp_item_t *out, int timeout_ms)
{
    return get(self, &(mpx_wanted_t){.item = out}, timeout_ms);
}

mp_rc_t mp_queue_get_tree(mp_queue_t *self, mp_tree_t **out, int timeout_ms)
{
    mp_item_t item = {.data = NULL};
    mp_rc_t rc = get(self, &(mpx_wanted_t){.item = &item, .only_tree = true}, timeout_ms);
    if (rc == MP_OK)
        rc = mp_item_tree(&item, out);
    mp_item_clear(&item);
    return rc;
}

/* One of the two, depending on where we are. */
#define EITHER(self, away_call, locally)                                                           \
    do {                                                                                           \
        mpx_away_t *away = NULL;                                                                   \
        mp_rc_t rc = begin(self, &away);                                                           \
        if (rc != MP_OK)                                                                           \
            return rc;                                                                             \
        return end(self, away ? (away_call) : (locally));                                          \
    } while (0)

mp_rc_t mp_queue_flush(mp_queue_t *self, int timeout_ms)
{
    EITHER(self, mpx_away_flush(away, timeout_ms), MP_OK);
}

mp_rc_t mp_queue_unacknowledged(mp_queue_t *self, mp_item_t *out)
{
    EITHER(self, mpx_away_unacknowledged(away, out),
           mpx_fault(MP_ESTATE, "the queue's owner is this process"));
}

mp_rc_t mp_queue_settle(mp_queue_t *self, size_t count)
{
    if (!self->settle_explicitly && (self->life || self->owned))
        return mpx_fault(MP_ESTATE, "the queue settles by itself");
    EITHER(self, mpx_away_settle(away, count), mpx_owner_settle(self->owner, count));
}

mp_rc_t mp_queue_give_back(mp_queue_t *self)
{
    EITHER(self, mpx_away_give_back(away), mpx_owner_give_back(self->owner));
}

mp_rc_t mp_queue_task_done(mp_queue_t *self)
{
    if (!self->joinable && (self->life || self->owned))
        return mpx_fault(MP_ESTATE, "the queue isn't joinable");
    EITHER(self, mpx_away_task_done(away), mpx_owner_task_done(self->owner));
}

mp_rc_t mp_queue_join(mp_queue_t *self, int timeout_ms)
{
    if (!self->joinable && (self->life || self->owned))
        return mpx_fault(MP_ESTATE, "the queue isn't joinable");
    EITHER(self, mpx_away_join(away, timeout_ms), mpx_owner_join(self->owner, timeout_ms));
}

mp_rc_t mp_queue_stat(mp_queue_t *self, mp_queue_stat_t *out, int timeout_ms)
{
    EITHER(self, mpx_away_stat(away, out, timeout_ms), (mpx_owner_stat(self->owner, out), MP_OK));
}

mp_rc_t mp_queue_qsize(mp_queue_t *self, size_t *out, int timeout_ms)
{
    mp_queue_stat_t stat;
    mp_rc_t rc = mp_queue_stat(self, &stat, timeout_ms);
    if (rc == MP_OK)
        *out = stat.size;
    return rc;
}

mp_rc_t mp_queue_empty(mp_queue_t *self, bool *out, int timeout_ms)
{
    mp_queue_stat_t stat;
    mp_rc_t rc = mp_queue_stat(self, &stat, timeout_ms);
    if (rc == MP_OK)
        *out = stat.size == 0;
    return rc;
}

mp_rc_t mp_queue_full(mp_queue_t *self, bool *out, int timeout_ms)
{
    mp_queue_stat_t stat;
    mp_rc_t rc = mp_queue_stat(self, &stat, timeout_ms);
    if (rc == MP_OK)
        *out = stat.maxsize && stat.size >= stat.maxsize;
    return rc;
}

mp_rc_t mpx_queue_watch(mp_queue_t *self, bool *ready, int *fd)
{
    EITHER(self, mpx_away_watch(away, ready, fd), mpx_owner_watch(self->owner, ready, fd));
}
