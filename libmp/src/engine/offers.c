#include "offers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <uthash.h>

/* A task that was asked for or offered. Never removed: their number is bounded by what
 * the hosts' operators load and what clients misspell, see TASKS_MAX. */
typedef struct offer {
    char *key; /* name, NUL, signature */
    size_t key_size;
    uint64_t number;
    uint32_t workers; /* that offer it now */
    bool lost;        /* uthash had no memory for it */
    UT_hash_handle hh;
} offer_t;

/* What one worker said. */
typedef struct member {
    uint64_t worker;
    offer_t **offers;
    size_t offers_count;
    char **refused;
    size_t refused_count;
    bool lost;
    UT_hash_handle hh;
} member_t;

struct mpx_offers {
    offer_t *offers;
    member_t *members;
    uint64_t last_number;
};

/* Numbers are kept for ever, so strangers must not be able to make them without end. */
enum { TASKS_MAX = 65536 };

mp_rc_t mpx_offers_new(mpx_offers_t **out)
{
    mpx_offers_t *self = calloc(1, sizeof *self);
    if (!self)
        return MP_ENOMEM;
    *out = self;
    return MP_OK;
}

static void member_free(member_t *member)
{
    for (size_t i = 0; i < member->refused_count; i++)
        free(member->refused[i]);
    free(member->refused);
    free(member->offers);
    free(member);
}

void mpx_offers_destroy(mpx_offers_t **self)
{
    if (!*self)
        return;
    member_t *member, *next_member;
    HASH_ITER (hh, (*self)->members, member, next_member) {
        HASH_DEL((*self)->members, member);
        member_free(member);
    }
    offer_t *offer, *next_offer;
    HASH_ITER (hh, (*self)->offers, offer, next_offer) {
        HASH_DEL((*self)->offers, offer);
        free(offer->key);
        free(offer);
    }
    free(*self);
    *self = NULL;
}

/* name NUL signature, malloc'ed. */
static char *key_of(const char *name, const char *signature, size_t *size)
{
    size_t name_size = strlen(name) + 1;
    *size = name_size + strlen(signature);
    char *key = malloc(*size + 1);
    if (key) {
        memcpy(key, name, name_size);
        memcpy(key + name_size, signature, *size - name_size + 1);
    }
    return key;
}

static offer_t *offer_make(mpx_offers_t *self, char *key, size_t key_size)
{
    offer_t *offer = calloc(1, sizeof *offer);
    if (!offer)
        return NULL;
    offer->key = key;
    offer->key_size = key_size;
    offer->number = ++self->last_number;
    HASH_ADD_KEYPTR(hh, self->offers, offer->key, offer->key_size, offer);
    if (offer->lost) {
        free(offer);
        return NULL;
    }
    return offer;
}

static offer_t *offer_of(mpx_offers_t *self, const char *name, const char *signature)
{
    size_t size = 0;
    char *key = key_of(name, signature, &size);
    if (!key)
        return NULL;
    offer_t *offer = NULL;
    HASH_FIND(hh, self->offers, key, size, offer);
    if (!offer && HASH_COUNT(self->offers) < TASKS_MAX) {
        offer = offer_make(self, key, size);
        if (offer)
            return offer;
    }
    free(key);
    return offer;
}

mp_rc_t mpx_offers_number(mpx_offers_t *self, const char *name, const char *signature,
                          uint64_t *out)
{
    const offer_t *offer = offer_of(self, name, signature);
    if (!offer)
        return MP_ENOMEM;
    *out = offer->number;
    return MP_OK;
}

static bool member_fill(mpx_offers_t *self, member_t *member, const mpx_hello_t *hello,
                        uint64_t *numbers)
{
    member->offers = calloc(hello->tasks_count + 1, sizeof(offer_t *));
    member->refused = calloc(hello->refused_count + 1, sizeof(char *));
    if (!member->offers || !member->refused)
        return false;
    for (size_t i = 0; i < hello->tasks_count; i++) {
        offer_t *offer = offer_of(self, hello->tasks[i].name, hello->tasks[i].signature);
        if (!offer)
            return false;
        member->offers[i] = offer;
        numbers[i] = offer->number;
    }
    for (size_t i = 0; i < hello->refused_count; i++) {
        member->refused[i] = strdup(hello->refused[i]);
        if (!member->refused[i])
            return false;
        member->refused_count++;
    }
    return true;
}

mp_rc_t mpx_offers_join(mpx_offers_t *self, uint64_t worker, const mpx_hello_t *hello,
                        uint64_t *numbers)
{
    member_t *member = calloc(1, sizeof *member);
    if (!member)
        return MP_ENOMEM;
    member->worker = worker;
    if (!member_fill(self, member, hello, numbers))
        goto undo;
    HASH_ADD(hh, self->members, worker, sizeof member->worker, member);
    if (member->lost)
        goto undo;
    member->offers_count = hello->tasks_count;
    for (size_t i = 0; i < member->offers_count; i++)
        member->offers[i]->workers++;
    return MP_OK;
undo:
    member_free(member);
    return MP_ENOMEM;
}

void mpx_offers_leave(mpx_offers_t *self, uint64_t worker)
{
    member_t *member = NULL;
    HASH_FIND(hh, self->members, &worker, sizeof worker, member);
    if (!member)
        return;
    HASH_DEL(self->members, member);
    for (size_t i = 0; i < member->offers_count; i++)
        member->offers[i]->workers--;
    member_free(member);
}

/* Another signature under which the task is offered right now, or NULL. */
static const char *other_signature(const mpx_offers_t *self, const char *name)
{
    for (const offer_t *offer = self->offers; offer; offer = offer->hh.next)
        if (offer->workers > 0 && strcmp(offer->key, name) == 0)
            return offer->key + strlen(offer->key) + 1;
    return NULL;
}

static bool is_refused(const mpx_offers_t *self, const char *name)
{
    for (const member_t *member = self->members; member; member = member->hh.next)
        for (size_t i = 0; i < member->refused_count; i++)
            if (strcmp(member->refused[i], name) == 0)
                return true;
    return false;
}

bool mpx_offers_has(const mpx_offers_t *self, const char *name, const char *signature)
{
    size_t size = 0;
    char *key = key_of(name, signature, &size);
    const offer_t *offer = NULL;
    if (key)
        HASH_FIND(hh, self->offers, key, size, offer);
    free(key);
    return offer && offer->workers > 0;
}

mp_rc_t mpx_offers_explain(const mpx_offers_t *self, const char *name, const char *signature,
                           char *text, size_t text_size)
{
    unsigned workers = HASH_COUNT(self->members);
    if (workers == 0) {
        snprintf(text, text_size, "no worker is connected; start mp-worker with this broker");
        return MP_ENOWORKER;
    }
    const char *other = other_signature(self, name);
    if (other) {
        snprintf(text, text_size,
                 "the workers' task '%s' is %s, this program's is %s; build both from one source",
                 name, other, signature);
        return MP_ESIGNATURE;
    }
    if (is_refused(self, name)) {
        snprintf(text, text_size, "no worker permits '%s'; start mp-worker with --allow-exec",
                 name);
        return MP_EPERM;
    }
    if (workers == 1)
        snprintf(text, text_size, "the only connected worker offers no task '%s'", name);
    else
        snprintf(text, text_size, "none of the %u connected workers offers a task '%s'", workers,
                 name);
    return MP_ENOTASK;
}

const char **mpx_offers_of(const mpx_offers_t *self, uint64_t worker)
{
    member_t *member = NULL;
    HASH_FIND(hh, self->members, &worker, sizeof worker, member);
    const char **names = member ? calloc(member->offers_count + 1, sizeof *names) : NULL;
    for (size_t i = 0; names && i < member->offers_count; i++)
        names[i] = member->offers[i]->key;
    return names;
}

/* Levenshtein's distance of two names, as far as their first characters go. */
static unsigned distance(const char *a, const char *b)
{
    enum { LOOKED_AT = 64 };
    unsigned row[LOOKED_AT + 1];
    size_t width = strnlen(b, LOOKED_AT);
    for (size_t j = 0; j <= width; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i] && i < LOOKED_AT; i++) {
        unsigned corner = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < width; j++) {
            unsigned best = corner + (a[i] != b[j]);
            corner = row[j + 1];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j + 1] = corner + 1 < best ? corner + 1 : best;
        }
    }
    return row[width];
}

const char *mpx_offers_nearest(const mpx_offers_t *self, const char *name)
{
    const char *nearest = NULL;
    unsigned least = (unsigned)strlen(name) / 3 + 2; /* further away it is another word */
    for (const offer_t *offer = self->offers; offer; offer = offer->hh.next) {
        unsigned far = offer->workers ? distance(name, offer->key) : least;
        if (far < least) {
            least = far;
            nearest = offer->key;
        }
    }
    return nearest;
}
