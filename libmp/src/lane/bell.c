#include "bell.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    BITS = 32,
    WORDS = MPX_BELL_SLOTS / BITS,
    LINE = 64,
    MANY = 64,           /* noted sleepers that are woken before others are noted */
    LONG_NS = 100 * 1000 /* so long nobody is kept waiting, as long as the owner pulls or asks */
};

typedef struct word {
    alignas(LINE) _Atomic uint32_t tolls;
} word_t;

struct mpx_bell {
    word_t *words;
    int fd;              /* the owner's, on the fork guard's list; else -1 */
    uint64_t generation; /* of forks */
    bool hushed;
    unsigned noted; /* slots */
    int64_t noted_at;
    uint64_t marked;       /* words with noted slots */
    uint32_t masks[WORDS]; /* their slots */
    uint16_t users[MPX_BELL_SLOTS];
};

_Static_assert(WORDS <= 64, "a bit of `marked` for each word");

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

/* ---- life -------------------------------------------------------------------------------- */

static mp_rc_t map_words(mpx_bell_t *self, int fd, int protection)
{
    void *at = mmap(NULL, WORDS * sizeof(word_t), protection, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return mpx_fault_errno("a bell");
    self->words = at;
    return MP_OK;
}

/* Mapped first: later mappings can't be written to. */
static mp_rc_t make_words(mpx_bell_t *self)
{
    self->fd = memfd_create("mp-bell", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (self->fd < 0 || ftruncate(self->fd, WORDS * sizeof(word_t)) != 0)
        return mpx_fault_errno("a bell");
    mp_rc_t rc = map_words(self, self->fd, PROT_READ | PROT_WRITE);
    if (rc == MP_OK && fcntl(self->fd, F_ADD_SEALS,
                             F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0)
        rc = mpx_fault_errno("a bell");
    return rc == MP_OK ? mpx_forkguard_add(self->fd) : rc;
}

static mpx_bell_t *make(void)
{
    mpx_bell_t *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->fd = -1;
    self->generation = mpx_fork_generation();
    return self;
}

mp_rc_t mpx_bell_new(mpx_bell_t **out)
{
    mpx_bell_t *self = make();
    if (!self)
        return mpx_fault(MP_ENOMEM, "a bell");
    mp_rc_t rc = make_words(self);
    if (rc != MP_OK)
        mpx_bell_destroy(&self);
    *out = self;
    return rc;
}

int mpx_bell_fd(const mpx_bell_t *self)
{
    return self->fd;
}

mpx_bell_t *mpx_bell_open(int fd)
{
    struct stat info;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &info) != 0 ||
        info.st_size != (off_t)(WORDS * sizeof(word_t)))
        return NULL;
    mpx_bell_t *self = make();
    if (self && map_words(self, fd, PROT_READ) != MP_OK)
        mpx_bell_destroy(&self);
    return self;
}

/* In a forked child the descriptor is closed already, and its number may be somebody else's. */
void mpx_bell_destroy(mpx_bell_t **self_p)
{
    mpx_bell_t *self = *self_p;
    if (!self)
        return;
    if (self->words)
        munmap(self->words, WORDS * sizeof(word_t));
    if (self->fd >= 0 && self->generation == mpx_fork_generation()) {
        mpx_forkguard_remove(self->fd);
        close(self->fd);
    }
    free(self);
    *self_p = NULL;
}

/* ---- the owner's ------------------------------------------------------------------------- */

/* The lowest of those with fewest users, so that few words are in use. */
int mpx_bell_join(mpx_bell_t *self)
{
    int best = 0;
    for (int slot = 0; slot < MPX_BELL_SLOTS && self->users[best]; slot++)
        if (self->users[slot] < self->users[best])
            best = slot;
    self->users[best]++;
    return best;
}

void mpx_bell_part(mpx_bell_t *self, int slot)
{
    self->users[slot]--;
}

/* What the sleepers are woken for was stored before: who sees the word moved sees that as well. */
void mpx_bell_toll(mpx_bell_t *self)
{
    for (uint64_t rest = self->marked; rest; rest &= rest - 1) {
        int which = __builtin_ctzll(rest);
        _Atomic uint32_t *tolls = &self->words[which].tolls;
        atomic_fetch_add_explicit(tolls, 1, memory_order_release);
        (void)syscall(SYS_futex, tolls, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, self->masks[which]);
        self->masks[which] = 0;
    }
    self->marked = 0;
    self->noted = 0;
}

void mpx_bell_pull(mpx_bell_t *self, int slot)
{
    int which = slot / BITS;
    self->masks[which] |= UINT32_C(1) << slot % BITS;
    self->marked |= UINT64_C(1) << which;
    if (!self->hushed || ++self->noted >= MANY)
        mpx_bell_toll(self);
    else if (self->noted == 1)
        self->noted_at = mpx_now();
    else
        mpx_bell_toll_if_due(self);
}

void mpx_bell_toll_if_due(mpx_bell_t *self)
{
    if (self->noted && mpx_now() - self->noted_at >= LONG_NS)
        mpx_bell_toll(self);
}

void mpx_bell_hush(mpx_bell_t *self, bool on)
{
    self->hushed = on;
    if (!on)
        mpx_bell_toll(self);
}

/* ---- a sleeper's ------------------------------------------------------------------------- */

uint32_t mpx_bell_state(const mpx_bell_t *self, int slot)
{
    return atomic_load_explicit(&self->words[slot / BITS].tolls, memory_order_acquire);
}

void mpx_bell_disturb(const mpx_bell_t *self, int slot)
{
    (void)syscall(SYS_futex, &self->words[slot / BITS].tolls, FUTEX_WAKE_BITSET, INT_MAX, NULL,
                  NULL, UINT32_C(1) << slot % BITS);
}

void mpx_bell_sleep(const mpx_bell_t *self, int slot, uint32_t state, int64_t until)
{
    struct timespec at = {.tv_sec = until / MPX_S, .tv_nsec = until % MPX_S};
    (void)syscall(SYS_futex, &self->words[slot / BITS].tolls, FUTEX_WAIT_BITSET, state, &at, NULL,
                  UINT32_C(1) << slot % BITS);
}
