#include "tally.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>

/* The first one is the hash's head. */
struct mpx_tallies {
    mpx_tally_t tally;
    bool unlisted;
    UT_hash_handle hh;
    char name[];
};

enum { TASKS_MAX = 1024 };

void mpx_tally_count(mpx_tally_t *self, mp_rc_t rc, uint32_t n, int64_t busy_ns)
{
    switch (rc) {
    case MP_OK:
        self->ok += n;
        break;
    case MP_EFAILED:
        self->failed += n;
        break;
    case MP_ECRASHED:
        self->crashed += n;
        break;
    case MP_ETIMEDOUT:
        self->timed_out += n;
        break;
    case MP_ECANCELLED:
        self->cancelled += n;
        break;
    default:
        self->other += n;
    }
    self->busy_ns += busy_ns;
}

void mpx_tally_learn(mpx_tally_t *self, int64_t service_ns)
{
    if (self->service_ns == 0 || (service_ns && service_ns < self->service_ns))
        self->service_ns = service_ns;
    else if (service_ns)
        self->service_ns += (service_ns - self->service_ns + 3) / 4;
}

mpx_tally_t *mpx_tallies_of(mpx_tallies_t **self, const char *task)
{
    mpx_tallies_t *found = NULL;
    HASH_FIND_STR(*self, task, found);
    if (found)
        return &found->tally;
    size_t size = strlen(task) + 1;
    mpx_tallies_t *fresh = HASH_COUNT(*self) < TASKS_MAX ? calloc(1, sizeof *fresh + size) : NULL;
    if (!fresh)
        return NULL;
    memcpy(fresh->name, task, size);
    HASH_ADD_STR(*self, name, fresh);
    if (!fresh->unlisted)
        return &fresh->tally;
    free(fresh);
    return NULL;
}

bool mpx_tallies_at(const mpx_tallies_t *self, size_t number, const char **name, mpx_tally_t *out)
{
    while (self && number-- > 0)
        self = self->hh.next;
    if (!self)
        return false;
    *name = self->name;
    *out = self->tally;
    return true;
}

void mpx_tallies_free(mpx_tallies_t **self)
{
    mpx_tallies_t *one, *next;
    HASH_ITER (hh, *self, one, next) {
        HASH_DEL(*self, one);
        free(one);
    }
}
