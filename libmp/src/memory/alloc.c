#include "alloc.h"

#include "fault.h"
#include "forkguard.h"
#include "reference.h"

#include <mp/alloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mpx_allocated {
    mpx_block_t *block;
    const unsigned char *at;
    size_t bytes;
    uint64_t generation; /* of the process that allocated it */
    unsigned shares;
};

/* Ordered by address. Few and large, so an array does. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static mpx_allocated_t **all;
static size_t count;
static size_t room;

static void install(void)
{
    mpx_forkguard_hold(&lock);
}

static void enter(void)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
}

/* How many lie at or before that address. */
static size_t upper_bound(const unsigned char *at)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (all[middle]->at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static mpx_allocated_t *holder_of(const unsigned char *at)
{
    size_t place = upper_bound(at);
    return place ? all[place - 1] : NULL;
}

static mp_rc_t insert(mpx_allocated_t *one)
{
    if (count == room) {
        size_t more = room ? room * 2 : 16;
        mpx_allocated_t **larger = realloc(all, more * sizeof *larger);
        if (!larger)
            return MP_ENOMEM;
        all = larger;
        room = more;
    }
    size_t place = upper_bound(one->at);
    memmove(all + place + 1, all + place, (count - place) * sizeof *all);
    all[place] = one;
    count++;
    return MP_OK;
}

static void take_out(const mpx_allocated_t *one)
{
    size_t place = upper_bound(one->at) - 1;
    count--;
    memmove(all + place, all + place + 1, (count - place) * sizeof *all);
}

/* Of a part of the machine's memory this large it is believed that all of it will be used. */
static size_t at_once_max(void)
{
    return (size_t)sysconf(_SC_PHYS_PAGES) / 8 * (size_t)sysconf(_SC_PAGESIZE);
}

static mp_rc_t make(size_t bytes, mpx_allocated_t **out)
{
    mpx_allocated_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "%zu bytes of shared memory", bytes);
    mp_rc_t rc = mpx_block_new(MPX_KIND_BULK, bytes, &self->block);
    if (rc != MP_OK) {
        free(self);
        return rc;
    }
    if (bytes <= at_once_max())
        mpx_block_collapse(self->block);
    self->at = mpx_block_data(self->block);
    self->bytes = bytes;
    self->generation = mpx_fork_generation();
    self->shares = 1;
    *out = self;
    return MP_OK;
}

static void destroy(mpx_allocated_t *self)
{
    mpx_block_free(self->block);
    free(self);
}

void *mp_alloc(size_t bytes)
{
    mpx_allocated_t *self = NULL;
    if (make(bytes, &self) != MP_OK)
        return NULL;
    enter();
    mp_rc_t rc = insert(self);
    pthread_mutex_unlock(&lock);
    if (rc == MP_OK)
        return mpx_block_data(self->block);
    destroy(self);
    (void)mpx_fault(MP_ENOMEM, "%zu bytes of shared memory", bytes);
    return NULL;
}

void mp_free(void *memory)
{
    if (!memory)
        return;
    enter();
    mpx_allocated_t *self = holder_of(memory);
    bool ours = self && self->at == memory && self->generation == mpx_fork_generation();
    if (ours)
        take_out(self);
    pthread_mutex_unlock(&lock);
    if (ours)
        mpx_allocated_drop(self);
}

mpx_allocated_t *mpx_allocated_find(const void *at, size_t bytes)
{
    const unsigned char *first = at;
    enter();
    mpx_allocated_t *self = holder_of(first);
    size_t offset = self ? (size_t)(first - self->at) : 0;
    if (!self || offset > self->bytes || bytes > self->bytes - offset)
        self = NULL;
    else
        self->shares++;
    pthread_mutex_unlock(&lock);
    return self;
}

void mpx_allocated_drop(mpx_allocated_t *self)
{
    if (!self)
        return;
    enter();
    bool last = --self->shares == 0;
    pthread_mutex_unlock(&lock);
    if (last)
        destroy(self);
}

const mpx_block_t *mpx_allocated_block(const mpx_allocated_t *self)
{
    return self->block;
}
