/* space_private.h: the space as its own files see it.
 *
 *     thing.c    an item that is kept, and the objects that it refers to
 *     map.c      pairs of key and value      dict.c, set.c    what is done with them
 *     row.c      things in a row             list.c, bag.c    … lists and arrays; queues
 *     shelf.c    objects: made, opened, dropped, ended
 *     tenant.c   clients, their answers and leases
 *     wait.c     operations that are answered later
 *     journal.c  what has changed, to be stored or undone
 *     keep.c     objects as records
 *
 * Containers change only by the functions of map.c, row.c and mpx_value_put, which count bytes,
 * check limits, and write the journal.
 */
#ifndef MPX_SPACE_PRIVATE_H
#define MPX_SPACE_PRIVATE_H

#include "space.h"

#include "buf.h"
#include "heap.h"
#include "node.h"
#include "wire.h"

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

enum {
    MPX_ENTRY_COST = 64, /* what each entry counts beside its bytes */
    MPX_KEY_MAX = 64 * 1024,
    MPX_STORED_KEY_MAX = 400, /* of a key, where it is stored */
    MPX_NAME_MAX = 255,
    MPX_WAITING = 1 /* beside mp_rc_t: the answer comes later */
};
#define MPX_TTL_MS_MAX (UINT64_C(1) << 42) /* 139 years, and no overflow in ns */

typedef struct mpx_object mpx_object_t;
typedef struct mpx_wait mpx_wait_t;

/* ---- things ---------------------------------------------------------------------------------- */

typedef struct mpx_thing {
    uint32_t size;
    uint8_t kind; /* mp_item_kind_t */
    bool refers;  /* to objects here, which it keeps */
    bool again;   /* of a queue: was given before */
    unsigned char bytes[];
} mpx_thing_t;

static inline mp_bytes_t mpx_thing_bytes(const mpx_thing_t *self)
{
    return (mp_bytes_t){self->bytes, self->size};
}

/* For `inside`, which it must not contain itself, however deep; NULL: that was looked at.
 * MP_OK; MP_EINVAL; MP_EPROTO no tree; MP_ETOOLARGE; MP_ENOTFOUND it refers to what isn't there;
 * MP_ENOMEM. */
mp_rc_t mpx_thing_new(mpx_space_t *space, const mpx_object_t *inside, uint32_t kind,
                      mp_bytes_t bytes, mpx_thing_t **out);
mp_rc_t mpx_thing_copy(mpx_space_t *space, const mpx_thing_t *self, mpx_thing_t **out);
void mpx_thing_free(mpx_space_t *space, mpx_thing_t *self);
bool mpx_thing_equal(const mpx_thing_t *a, const mpx_thing_t *b);
mp_rc_t mpx_thing_add_to(const mpx_thing_t *self, mpx_buf_t *out);   /* as a parcel */
mp_rc_t mpx_thing_add_node(const mpx_thing_t *self, mpx_buf_t *out); /* as a node of a tree */
/* A new one: self + delta; self + an item at its end. NULL self counts as 0, or as empty.
 * MP_OK; MP_EINVAL; MP_ERANGE; and those of mpx_thing_new. */
mp_rc_t mpx_thing_sum(mpx_space_t *space, const mpx_object_t *inside, const mpx_thing_t *self,
                      mp_bytes_t delta, mpx_thing_t **out);
mp_rc_t mpx_thing_longer(mpx_space_t *space, const mpx_object_t *inside, const mpx_thing_t *self,
                         mp_bytes_t item, size_t *len, mpx_thing_t **out);

/* ---- timers -----------------------------------------------------------------------------------
 */

typedef enum mpx_timer_kind {
    MPX_TIMER_WAIT,
    MPX_TIMER_LEASE,
    MPX_TIMER_LINGER,
    MPX_TIMER_OBJECT,
    MPX_TIMER_PAIR
} mpx_timer_kind_t;

typedef struct mpx_timer {
    mpx_heap_node_t node; /* first: the heap's nodes are timers */
    mpx_timer_kind_t kind;
    void *of;
    mpx_object_t *object; /* of a pair's */
} mpx_timer_t;

/* ---- containers --------------------------------------------------------------------------------
 */

typedef struct mpx_pair {
    mpx_thing_t *value; /* NULL in a set */
    uint64_t version;
    uint64_t order; /* rises from each to the next one in the map */
    mpx_timer_t *expiry;
    UT_hash_handle hh;
    bool unlisted;
    uint32_t key_size;
    unsigned char key[];
} mpx_pair_t;

/* The rank is the thing's name in the store: it rises along the row. */
typedef struct mpx_place {
    mpx_thing_t *thing;
    uint64_t rank;
} mpx_place_t;

typedef struct mpx_row {
    mpx_place_t *places; /* room of them, used from head on */
    size_t head, count, room;
    uint64_t top; /* the highest rank that was ever at the end: a queue's given items have theirs */
} mpx_row_t;

/* What somebody has got from a queue and not finished. */
typedef struct mpx_given {
    mpx_thing_t *thing;
    uint64_t rank;
    mpx_object_t *queue;
    mpx_tenant_t *tenant; /* who has it; NULL: it is finished, or nobody */
    uint64_t owner;       /* that one's number */
    uint64_t thread;
    uint64_t number;                       /* of the operation that got it */
    struct mpx_given *prev, *next;         /* of the queue */
    struct mpx_given *prev_had, *next_had; /* of the tenant */
} mpx_given_t;

/* Who holds units of a semaphore. */
typedef struct mpx_units {
    mpx_object_t *semaphore;
    mpx_tenant_t *tenant;
    int64_t count;
    int64_t since;
    struct mpx_units *prev, *next;         /* of the semaphore */
    struct mpx_units *prev_had, *next_had; /* of the tenant */
} mpx_units_t;

typedef struct mpx_lock_state {
    mpx_tenant_t *holder; /* NULL: free */
    uint64_t thread;
    uint64_t token; /* of the hold, or of the last one */
    uint64_t depth;
    int64_t since;
    bool orphaned;                     /* the last holder lost it: the next one is told */
    mpx_object_t *prev_had, *next_had; /* of the holder */
    mpx_object_t *conditions;          /* that use it, and end with it */
} mpx_lock_state_t;

struct mpx_object {
    uint64_t id;
    mp_object_type_t type;
    char *name; /* NULL: anonymous */
    uint64_t version;
    size_t bytes, max_bytes;
    size_t max_items;
    uint32_t handles; /* of tenants */
    uint32_t inside;  /* of things */
    bool ended;       /* not listed any more; freed when that is stored */
    bool touched;     /* on the list of those whose waits are to be looked at */
    char typecode;
    int64_t value; /* a semaphore's free units, its bound; a barrier's parties; an event's flag */
    int64_t bound;
    mpx_timer_t expiry, linger;
    mpx_wait_t *waits; /* in the order in which they came */
    size_t waits_count;
    union {
        mpx_pair_t *pairs;
        struct {
            mpx_row_t row;
            mpx_given_t *given;
            size_t unfinished;
        } row;
        mpx_thing_t *thing;
        mpx_lock_state_t lock;
        mpx_units_t *units;
        struct {
            uint64_t generation; /* of sets: a wait counts one that came during it */
        } event;
        struct {
            mpx_object_t *lock;        /* kept as if a thing referred to it; NULL: it is freed */
            mpx_object_t *prev, *next; /* of its lock */
        } condition;
        struct {
            bool broken;
        } barrier;
        struct {
            const mp_object_type_def_t *type;
            void *self;
        } custom;
    } as;
    UT_hash_handle hh, by_name; /* hh: of all, or of the ended ones */
    bool unlisted;
    mpx_object_t *next_touched;
    uint64_t walked; /* the last walk that came by */
    mpx_object_t *next_walked;
};

/* ---- tenants ------------------------------------------------------------------------------------
 */

typedef struct mpx_handle {
    uint64_t object;
    uint64_t count;
    UT_hash_handle hh;
    bool unlisted;
} mpx_handle_t;

/* An answer, from when it is known until the tenant has it. */
typedef struct mpx_reply {
    struct mpx_reply *prev, *next;
    uint64_t number;
    uint64_t position; /* among all of the tenant's */
    uint64_t object;
    uint64_t batch; /* of changes that it may tell of; 0: of none */
    uint32_t size;
    unsigned char bytes[];
} mpx_reply_t;

struct mpx_tenant {
    uint64_t number;
    uint64_t secret;
    void *tag; /* NULL: detached */
    char name[96];
    char restricted[64]; /* whose key lets it only look; "": it may do all */
    int64_t heard_at;
    uint64_t next;        /* operation to be carried out */
    uint64_t sent;        /* position of an answer that was sent */
    uint64_t last;        /* of any */
    mpx_reply_t *replies; /* those that it doesn't have: sent ones first, then: */
    mpx_reply_t *unsent;
    size_t reply_bytes;
    mpx_buf_t lying; /* operations beyond the window of answers, */
    uint64_t lying_count;
    size_t lying_from; /* from here on */
    mpx_handle_t *handles;
    mpx_wait_t *waits;
    size_t waits_count;
    mpx_object_t *locks; /* that it holds */
    mpx_units_t *units;
    mpx_given_t *given;
    mpx_timer_t lease;
    mp_rc_t over;
    bool ready; /* listed: something is to be sent */
    bool unlisted;
    mpx_tenant_t *prev_ready, *next_ready;
    UT_hash_handle hh;
};

/* ---- the space
 * ------------------------------------------------------------------------------------ */

typedef struct mpx_undo mpx_undo_t;

typedef struct mpx_journal {
    mpx_undo_t *records; /* in an array */
    size_t count, room;
    bool on; /* durable, or within an atomic */
} mpx_journal_t;

struct mpx_space {
    mpx_space_options_t options;
    uint64_t counter; /* of all numbers: ids, versions, orders, tokens, tenants */
    uint64_t counter_stored;
    int64_t now;
    mpx_object_t *objects, *names;
    mpx_object_t *ended; /* until that is stored */
    uint64_t walk;       /* number of a walk along references */
    uint64_t batch;      /* of changes that are stored together, from 1 */
    bool loading;
    mpx_tenant_t *tenants;
    mpx_tenant_t *ready;
    mpx_object_t *touched;
    mpx_heap_t timers;
    mpx_journal_t journal;
    size_t bytes;
    size_t parked; /* of things that wait to be put */
    size_t waits;
    uint64_t operations;
    int64_t refuse_until; /* changes: the disk was full */
    mp_rc_t refuse_why;
    mpx_buf_t results; /* of the operation that is carried out */
    mpx_buf_t scratch;
    mpx_buf_t outgoing;
};

/* An operation that is carried out. */
/* What a change may be made under: the lock's hold of that token. */
typedef struct mpx_guard {
    uint64_t lock; /* 0: none */
    uint64_t token;
} mpx_guard_t;
/* MP_OK; MP_ESTALE. */
mp_rc_t mpx_guard_check(const mpx_space_t *space, const mpx_guard_t *self);

/* Around a call of a custom type's function: what it fails with are its own words, or none. */
void mpx_type_enter(const mpx_space_t *space);
mp_rc_t mpx_type_leave(const mpx_space_t *space, const mp_object_type_def_t *type, mp_rc_t rc);

typedef struct mpx_act {
    mpx_space_t *space;
    mpx_tenant_t *tenant;
    uint64_t number;
    mpx_object_t *object; /* NULL: of the manager */
    mp_bytes_t arguments; /* those that aren't read yet */
    int32_t wait_ms;
    mpx_guard_t guard;
    bool atomic;    /* within an ATOMIC */
    mpx_buf_t *out; /* results, as parcels */
} mpx_act_t;

/* MP_OK, a failure with its words in mp_errmsg(), or MPX_WAITING. */
typedef int mpx_handler_t(mpx_act_t *act);

static inline uint64_t mpx_space_number(mpx_space_t *self)
{
    return ++self->counter;
}

/* Arguments: MP_OK; MP_EPROTO. */
mp_rc_t mpx_act_number(mpx_act_t *act, uint64_t *out);
mp_rc_t mpx_act_key(mpx_act_t *act, mp_bytes_t *out);
mp_rc_t mpx_act_item(mpx_act_t *act, uint32_t *kind, mp_bytes_t *out);
mp_rc_t mpx_act_tree(mpx_act_t *act, mp_bytes_t *out);
mp_rc_t mpx_act_bytes(mpx_act_t *act, mp_bytes_t *out);
/* A new thing for the object, from the next argument. */
mp_rc_t mpx_act_thing(mpx_act_t *act, mpx_thing_t **out);
/* Results. */
mp_rc_t mpx_act_add_number(mpx_act_t *act, uint64_t number);
mp_rc_t mpx_act_add_tree(mpx_act_t *act, mp_bytes_t node);
/* The tree that was made with that code, which is freed. cure  for one that is too large. */
mp_rc_t mpx_act_answer(mpx_act_t *act, mpx_buf_t *tree, mp_rc_t rc, const char *cure);

/* ---- map.c: pairs -------------------------------------------------------------------------------
 */

mpx_pair_t *mpx_map_find(const mpx_object_t *self, mp_bytes_t key);
static inline size_t mpx_map_len(const mpx_object_t *self)
{
    return HASH_COUNT(self->as.pairs);
}
static inline mp_bytes_t mpx_pair_key(const mpx_pair_t *self)
{
    return (mp_bytes_t){self->key, self->key_size};
}
/* The value is taken over, also on failure; NULL in a set. MP_OK; MP_ELIMIT; MP_ETOOLARGE;
 * MP_ENOMEM. */
mp_rc_t mpx_map_put(mpx_space_t *space, mpx_object_t *self, mp_bytes_t key, mpx_thing_t *value,
                    mpx_pair_t **out);
mp_rc_t mpx_map_remove(mpx_space_t *space, mpx_object_t *self, mpx_pair_t *pair);
/* 0: it stays. */
mp_rc_t mpx_map_expire(mpx_space_t *space, mpx_object_t *self, mpx_pair_t *pair, int64_t at);
void mpx_map_free_pair(mpx_space_t *space, mpx_pair_t *pair);
/* For the journal: as it was. */
void mpx_map_unlist(mpx_object_t *self, mpx_pair_t *pair);
void mpx_map_relist(mpx_object_t *self, mpx_pair_t *pair);

/* ---- row.c: things in a row
 * ----------------------------------------------------------------------- */

static inline mpx_place_t *mpx_row_at(const mpx_row_t *self, size_t index)
{
    return &self->places[self->head + index];
}
/* Instead of `removed` things from `at` on, put `added` others, which are taken over also on
 * failure. MP_OK; MP_ELIMIT; MP_ENOMEM. */
mp_rc_t mpx_row_splice(mpx_space_t *space, mpx_object_t *self, size_t at, size_t removed,
                       mpx_thing_t *const *things, size_t added);
/* The same things in another order: `order` has their old indices. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_row_permute(mpx_space_t *space, mpx_object_t *self, const size_t *order);
/* Without journal, counting or limits, and with the ranks that are given.
 * MP_OK; MP_ENOMEM, which can't be if added <= removed. */
mp_rc_t mpx_row_exchange(mpx_row_t *self, size_t at, size_t removed, const mpx_place_t *places,
                         size_t added);
/* The index of a rank; count: there is none. */
size_t mpx_row_find(const mpx_row_t *self, uint64_t rank);
mp_rc_t mpx_row_append_loaded(mpx_space_t *space, mpx_object_t *self, uint64_t rank,
                              mpx_thing_t *thing);

/* ---- value --------------------------------------------------------------------------------------
 */

mp_rc_t mpx_value_put(mpx_space_t *space, mpx_object_t *self, mpx_thing_t *thing);
/* Whether an array or value of that type code can hold it. MP_OK; MP_EINVAL. */
mp_rc_t mpx_typecode_check(char typecode, const mpx_thing_t *thing);
bool mpx_typecode_is_known(char typecode);

/* ---- objects (shelf.c)
 * ----------------------------------------------------------------------------- */

mpx_object_t *mpx_object_find(const mpx_space_t *space, uint64_t id);
mpx_object_t *mpx_object_find_any(const mpx_space_t *space, uint64_t id);
/* Of that type, in the space, without a name: lists it. NULL: no memory. */
mpx_object_t *mpx_object_new(mpx_space_t *space, uint64_t id, mp_object_type_t type);
mp_rc_t mpx_object_set_name(mpx_space_t *space, mpx_object_t *self, mp_bytes_t name);
/* It is there no more; its waits end with `why`. What is held of it goes when it is freed. */
void mpx_object_end(mpx_space_t *space, mpx_object_t *self, mp_rc_t why);
/* The same as a change, and of all that can't be without it. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_object_finish(mpx_space_t *space, mpx_object_t *self);
void mpx_object_free(mpx_space_t *space, mpx_object_t *self);
void mpx_object_relist(mpx_space_t *space, mpx_object_t *self);
/* It has changed: a new version, and its waits are looked at. */
void mpx_object_touch(mpx_space_t *space, mpx_object_t *self);
/* Changes whose last one didn't reach the disk are refused for a while. MP_OK, or why. */
mp_rc_t mpx_space_check_disk(const mpx_space_t *self);
/* MP_EPERM, with words. */
mp_rc_t mpx_space_refuse(const mpx_tenant_t *tenant);
/* Room for so many more bytes, or items? MP_OK; MP_ELIMIT. */
mp_rc_t mpx_space_room(const mpx_space_t *self, size_t more);
mp_rc_t mpx_object_room(const mpx_space_t *space, const mpx_object_t *self, size_t bytes_now,
                        size_t bytes_then, size_t items_then);
void mpx_object_count_bytes(mpx_space_t *space, mpx_object_t *self, size_t less, size_t more);
/* One of its handles is gone, or it has none yet. */
void mpx_object_linger(mpx_space_t *space, mpx_object_t *self);
size_t mpx_object_items(const mpx_object_t *self);
void mpx_object_expire_at(mpx_space_t *space, mpx_object_t *self, int64_t at);
mp_rc_t mpx_object_describe(const mpx_space_t *space, const mpx_object_t *self, mpx_buf_t *out);

mp_rc_t mpx_tenant_hold(mpx_space_t *space, mpx_tenant_t *self, mpx_object_t *object);
void mpx_tenant_drop(mpx_space_t *space, mpx_tenant_t *self, uint64_t object);

/* ---- waits (wait.c)
 * --------------------------------------------------------------------------------- */

struct mpx_wait {
    mpx_tenant_t *tenant;
    uint64_t number;
    mpx_object_t *object;
    mpx_method_t method;
    mpx_timer_t timer;
    mpx_thing_t *thing; /* to be put */
    mpx_guard_t guard;  /* it may have ended meanwhile */
    uint64_t thread;
    uint64_t depth;                /* of the lock that a condition's waiter had */
    uint64_t version;              /* that it has seen; an event's generation */
    bool notified;                 /* a condition's waiter: it waits for its lock, */
    int code;                      /* and gets this with it */
    mpx_wait_t *prev, *next;       /* of the object */
    mpx_wait_t *prev_of, *next_of; /* of the tenant */
    uint32_t key_size;
    unsigned char key[];
};

/* The act will be answered later. key  copied; may be empty
 * NULL and *rc: MP_EINVAL within an atomic; MP_ELIMIT; MP_ENOMEM. With wait_ms 0 *rc is
 * MP_ETIMEDOUT, without words. */
mpx_wait_t *mpx_wait_new(mpx_act_t *act, mpx_object_t *object, mpx_method_t method, mp_bytes_t key,
                         int *rc);
/* Answer it: with results, if rc says so, or the words of mp_errmsg(); it is freed. */
void mpx_wait_end(mpx_space_t *space, mpx_wait_t *self, mp_rc_t rc, const mpx_buf_t *results);
/* A thing waits with it, and counts as what is in objects does. */
void mpx_wait_park(mpx_space_t *space, mpx_wait_t *self, mpx_thing_t *thing);
mpx_thing_t *mpx_wait_unpark(mpx_space_t *space, mpx_wait_t *self);
/* Nobody waits any more: no answer. */
void mpx_wait_forget(mpx_space_t *space, mpx_wait_t *self);
/* Its time is over. */
void mpx_wait_expire(mpx_space_t *space, mpx_wait_t *self);
/* Answer those waits of the object that can be. */
void mpx_object_serve(mpx_space_t *space, mpx_object_t *self);
/* The same for all that were touched. */
void mpx_space_serve(mpx_space_t *space);

/* ---- tenants (tenant.c)
 * -------------------------------------------------------------------------------- */

mp_rc_t mpx_tenant_reply(mpx_space_t *space, mpx_tenant_t *self, uint64_t number, uint64_t object,
                         mp_rc_t rc, const mpx_buf_t *results);
bool mpx_tenant_has_stake(const mpx_tenant_t *self);
void mpx_tenant_watch_lease(mpx_space_t *space, mpx_tenant_t *self);
void mpx_tenant_over(mpx_space_t *space, mpx_tenant_t *self, mp_rc_t why);
/* Carry out one operation; its result goes to `out`. */
int mpx_space_carry_out(mpx_space_t *space, mpx_tenant_t *tenant, uint64_t number,
                        const mpx_operation_t *operation, bool atomic, mpx_buf_t *out);

/* ---- holds
 * ---------------------------------------------------------------------------------------------- */

/* A condition gets its lock; NULL: it leaves it. */
void mpx_condition_join(mpx_space_t *space, mpx_object_t *self, mpx_object_t *lock);
/* The lock of a lock or condition. */
mpx_object_t *mpx_lock_of(mpx_object_t *self);
bool mpx_lock_is_held(const mpx_object_t *self, const mpx_tenant_t *tenant, uint64_t thread);
void mpx_lock_free(mpx_space_t *space, mpx_object_t *self, bool orphaned);
/* One that waits for it gets it, if it is free. */
void mpx_lock_serve(mpx_space_t *space, mpx_object_t *self);
void mpx_units_return(mpx_space_t *space, mpx_units_t *self);
void mpx_given_return(mpx_space_t *space, mpx_given_t *self);
/* What the tenant has of queues that aren't joinable is finished. */
void mpx_given_settle(mpx_space_t *space, mpx_tenant_t *tenant);
void mpx_queue_serve(mpx_space_t *space, mpx_object_t *self);
/* All that wait there leave. */
void mpx_barrier_break(mpx_space_t *space, mpx_object_t *self);
/* A condition's waiter is to have its lock again, and then gets `code`. */
void mpx_condition_wake(mpx_space_t *space, mpx_wait_t *wait, mp_rc_t code);

/* ---- journal
 * -----------------------------------------------------------------------------------------------
 */

typedef enum mpx_undo_kind {
    MPX_UNDO_PAIR_NEW,   /* pair */
    MPX_UNDO_PAIR_VALUE, /* pair, thing: the old one, version, at: when it expired */
    MPX_UNDO_PAIR_GONE,  /* pair */
    MPX_UNDO_ROW,        /* index, places: those that were there, count; added */
    MPX_UNDO_ORDER,      /* places: all, in the old order, count */
    MPX_UNDO_VALUE,      /* thing */
    MPX_UNDO_MADE,
    MPX_UNDO_ENDED,   /* at: when it would expire */
    MPX_UNDO_EXPIRY,  /* at */
    MPX_UNDO_FLAG,    /* at: an event's */
    MPX_UNDO_FINISHED /* given: an item of a queue that is finished */
} mpx_undo_kind_t;

struct mpx_undo {
    mpx_undo_kind_t kind;
    mpx_object_t *object;
    mpx_pair_t *pair;
    mpx_thing_t *thing;
    mpx_given_t *given;
    uint64_t version;        /* of the pair */
    uint64_t object_version; /* of the object, set by mpx_journal_note: before mpx_object_touch */
    int64_t at;
    size_t index, count, added;
    mpx_place_t *places;
};

/* Room for one more record, to be made before the change. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_journal_room(mpx_space_t *space);
/* Note it. What it holds is kept until the journal is dropped; without a journal it is freed now.
 */
void mpx_journal_note(mpx_space_t *space, const mpx_undo_t *undo);
/* Undo, newest first, down to a length; or let go of what is kept. */
void mpx_journal_undo(mpx_space_t *space, size_t to);
void mpx_journal_drop(mpx_space_t *space, size_t from);

/* ---- handlers: one for each method
 * --------------------------------------------------------------------------- */

#define MPX_METHOD_HANDLER(name, number, types, traits) int mpx_do_##name(mpx_act_t *act);
MPX_METHOD_MAP(MPX_METHOD_HANDLER)
#undef MPX_METHOD_HANDLER

#endif
