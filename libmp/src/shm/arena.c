#include "arena.h"

#include "fault.h"
#include "forkguard.h"
#include "life.h"
#include "reference.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#ifndef MADV_POPULATE_WRITE /* Linux 5.14; before it, nothing happens */
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE /* Linux 6.1; the same */
#define MADV_COLLAPSE 25
#endif

enum {
    GRAIN = 64,
    PAGE = 4096,
    HUGE_PAGE = 2 << 20,
    CLASSES = 160, /* four for each power of two */
    FIRST_SEGMENT_BYTES = 1 << 18,
    LAST_SEGMENT_BYTES = 1 << 26
};

static const uint64_t segment_magic = UINT64_C(0x31616e6572617078); /* "xparena1" */

/* First thing in a segment. */
typedef struct segment_head {
    uint64_t magic;
    uint64_t id;
    uint64_t bytes;
} segment_head_t;

/* Before each block's data. The serial tells a block from what stood there before. */
typedef struct block_head {
    uint64_t serial; /* 0: free */
    uint64_t bytes;
    uint32_t kind;
} block_head_t;

typedef struct segment {
    unsigned char *base;
    size_t bytes;
    uint64_t id;
    int fd;
    bool own;     /* made by this process: its blocks are ours to allocate */
    size_t users; /* handles of blocks in it */
    struct segment *prev, *next;
} segment_t;

/* A range of a segment that is in use as a whole, or free as a whole. */
typedef struct span {
    segment_t *segment;
    size_t offset;
    size_t bytes;
    bool used;
    bool dirty;                  /* was used before: not all zeros */
    struct span *before, *after; /* neighbours in the segment */
    struct span *prev, *next;    /* in the list of its class, while free */
} span_t;

struct mpx_block {
    segment_t *segment;
    span_t *span; /* NULL: not ours to free */
    uint64_t generation;
    size_t offset; /* of the head */
    size_t bytes;
    uint64_t serial;
    uint32_t kind;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t generation;
static segment_t *segments;
static span_t *classes[CLASSES];
static size_t next_segment_bytes = FIRST_SEGMENT_BYTES;
static uint64_t last_serial;
static mpx_arena_counts_t counts;

/* ---- entry ---------------------------------------------------------------------------------- */

static void install(void)
{
    mpx_forkguard_hold(&lock);
}

/* In a forked child: the gaps in the parent's segments are the parent's. */
static void disown(void)
{
    segment_t *segment;
    DL_FOREACH (segments, segment)
        segment->own = false;
    memset(classes, 0, sizeof classes);
    memset(&counts, 0, sizeof counts);
    next_segment_bytes = FIRST_SEGMENT_BYTES;
    generation = mpx_fork_generation();
}

static void enter(void)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    if (generation != mpx_fork_generation())
        disown();
}

static void leave(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- spans ---------------------------------------------------------------------------------- */

/* The class of a size in grains: 1, 2, 3, then four steps between powers of two. */
static unsigned class_of(size_t bytes)
{
    size_t grains = bytes / GRAIN;
    if (grains < 4)
        return (unsigned)grains;
    unsigned log = 63 - (unsigned)__builtin_clzll(grains);
    unsigned step = log * 4 + (unsigned)((grains >> (log - 2)) & 3);
    return step < CLASSES ? step : CLASSES - 1;
}

static void list_span(span_t *span)
{
    span->used = false;
    DL_PREPEND(classes[class_of(span->bytes)], span);
}

static void unlist_span(span_t *span)
{
    DL_DELETE(classes[class_of(span->bytes)], span);
}

static span_t *best_of(span_t *list, size_t bytes)
{
    span_t *best = NULL;
    span_t *span;
    DL_FOREACH (list, span) {
        if (span->bytes == bytes)
            return span;
        if (span->bytes > bytes && (!best || span->bytes < best->bytes))
            best = span;
    }
    return best;
}

static span_t *find_span(size_t bytes)
{
    span_t *best = NULL;
    for (unsigned i = class_of(bytes); !best && i < CLASSES; i++)
        best = best_of(classes[i], bytes);
    return best;
}

/* Cut what is too much off a listed span; without memory for that it is given away whole. */
static void take_span(span_t *span, size_t bytes)
{
    unlist_span(span);
    span->used = true;
    span_t *rest = span->bytes > bytes ? malloc(sizeof *rest) : NULL;
    if (rest) {
        *rest = (span_t){.segment = span->segment,
                         .offset = span->offset + bytes,
                         .bytes = span->bytes - bytes,
                         .dirty = span->dirty,
                         .before = span,
                         .after = span->after};
        if (rest->after)
            rest->after->before = rest;
        span->after = rest;
        span->bytes = bytes;
        list_span(rest);
        counts.spans++;
    }
    counts.blocks++;
    counts.block_bytes += span->bytes;
}

/* `left` takes over its right neighbour. */
static void join_spans(span_t *left)
{
    span_t *right = left->after;
    left->bytes += right->bytes;
    left->dirty = left->dirty || right->dirty;
    left->after = right->after;
    if (left->after)
        left->after->before = left;
    free(right);
    counts.spans--;
}

static void return_span(span_t *span)
{
    counts.blocks--;
    counts.block_bytes -= span->bytes;
    if (span->after && !span->after->used) {
        unlist_span(span->after);
        join_spans(span);
    }
    if (span->before && !span->before->used) {
        span = span->before;
        unlist_span(span);
        join_spans(span);
    }
    list_span(span);
}

/* ---- segments ------------------------------------------------------------------------------- */

static void drop_segment(segment_t *segment)
{
    DL_DELETE(segments, segment);
    munmap(segment->base, segment->bytes);
    if (segment->fd >= 0)
        close(segment->fd);
    free(segment);
}

/* Free addresses for a mapping, on a boundary of huge pages where it has room for one. */
static void *reserve(size_t bytes)
{
    size_t slack = bytes < HUGE_PAGE ? 0 : HUGE_PAGE;
    unsigned char *base =
        mmap(NULL, bytes + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED || !slack)
        return base;
    size_t before = (size_t)(-(uintptr_t)base % HUGE_PAGE);
    if (before)
        munmap(base, before);
    if (slack > before)
        munmap(base + before + bytes, slack - before);
    return base + before;
}

static mp_rc_t map_segment(segment_t *segment)
{
    void *place = reserve(segment->bytes);
    void *base = place == MAP_FAILED ? place
                                     : mmap(place, segment->bytes, PROT_READ | PROT_WRITE,
                                            MAP_SHARED | MAP_FIXED, segment->fd, 0);
    if (base == MAP_FAILED) {
        mp_rc_t rc = mpx_fault_errno("mapping %zu bytes of shared memory", segment->bytes);
        if (place != MAP_FAILED)
            munmap(place, segment->bytes);
        return rc;
    }
    segment->base = base;
    DL_APPEND(segments, segment);
    return MP_OK;
}

static uint64_t random_id(void)
{
    uint64_t id = 0;
    if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id)
        id = mpx_thread_self() * UINT64_C(0x9E3779B97F4A7C15);
    return id | 1;
}

static mp_rc_t fill_segment(segment_t *segment)
{
    segment->fd = memfd_create("mp-arena", MFD_CLOEXEC);
    if (segment->fd < 0 || ftruncate(segment->fd, (off_t)segment->bytes) != 0)
        return mpx_fault_errno("%zu bytes of shared memory", segment->bytes);
    mp_rc_t rc = map_segment(segment);
    if (rc != MP_OK)
        return rc;
    segment_head_t *head = (segment_head_t *)(void *)segment->base;
    *head = (segment_head_t){segment_magic, segment->id, segment->bytes};
    return MP_OK;
}

/* A segment with one free span, of at least that many bytes. */
static mp_rc_t grow(size_t bytes)
{
    size_t wanted = bytes + GRAIN;
    segment_t *segment = calloc(1, sizeof *segment);
    span_t *span = calloc(1, sizeof *span);
    mp_rc_t rc = MP_ENOMEM;
    if (segment && span) {
        size_t page = wanted < HUGE_PAGE ? PAGE : HUGE_PAGE;
        segment->bytes =
            wanted > next_segment_bytes ? (wanted + page - 1) / page * page : next_segment_bytes;
        segment->id = random_id();
        segment->own = true;
        segment->fd = -1;
        rc = fill_segment(segment);
    }
    if (rc != MP_OK) {
        if (segment && segment->fd >= 0)
            close(segment->fd);
        free(segment);
        free(span);
        return rc;
    }
    *span = (span_t){.segment = segment, .offset = GRAIN, .bytes = segment->bytes - GRAIN};
    list_span(span);
    counts.spans++;
    counts.segments++;
    counts.segment_bytes += segment->bytes;
    if (next_segment_bytes < LAST_SEGMENT_BYTES)
        next_segment_bytes *= 2;
    return MP_OK;
}

/* An own segment in which nothing is left goes back to the kernel, unless it is the last. */
static void shrink(span_t *span)
{
    segment_t *segment = span->segment;
    if (segment->users || !segment->own || counts.segments < 2)
        return;
    while (span->before)
        span = span->before;
    unlist_span(span);
    counts.spans--;
    counts.segments--;
    counts.segment_bytes -= segment->bytes;
    free(span);
    drop_segment(segment);
}

/* ---- blocks --------------------------------------------------------------------------------- */

static block_head_t *head_at(const segment_t *segment, size_t offset)
{
    return (block_head_t *)(void *)(segment->base + offset);
}

static mp_rc_t allocate(mpx_block_t *self, size_t whole, bool *dirty)
{
    span_t *span = find_span(whole);
    if (!span) {
        mp_rc_t rc = grow(whole);
        if (rc != MP_OK)
            return rc;
        span = find_span(whole);
    }
    take_span(span, whole);
    *dirty = span->dirty;
    span->dirty = true;
    self->segment = span->segment;
    self->span = span;
    self->offset = span->offset;
    self->serial = ++last_serial;
    span->segment->users++;
    return MP_OK;
}

mp_rc_t mpx_block_new(uint32_t kind, size_t bytes, mpx_block_t **out)
{
    if (bytes > MPX_BLOCK_BYTES_MAX)
        return mpx_fault(MP_ETOOLARGE, "%zu bytes of shared memory", bytes);
    mpx_block_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a shared object");
    self->kind = kind;
    self->bytes = bytes;
    self->generation = mpx_fork_generation();
    enter();
    bool dirty = false;
    mp_rc_t rc = allocate(self, (GRAIN + bytes + GRAIN - 1) / GRAIN * GRAIN, &dirty);
    leave();
    if (rc != MP_OK) {
        free(self);
        return rc == MP_ENOMEM ? mpx_fault(rc, "%zu bytes of shared memory", bytes) : rc;
    }
    if (dirty)
        memset(mpx_block_data(self), 0, bytes);
    *head_at(self->segment, self->offset) = (block_head_t){self->serial, bytes, kind};
    *out = self;
    return MP_OK;
}

void mpx_block_free(mpx_block_t *self)
{
    if (!self)
        return;
    enter();
    segment_t *segment = self->segment;
    segment->users--;
    if (self->span && self->generation == mpx_fork_generation()) {
        head_at(segment, self->offset)->serial = 0;
        span_t *span = self->span;
        span_t *stays = span->before && !span->before->used ? span->before : span;
        return_span(span);
        shrink(stays);
    } else if (segment->users == 0 && !segment->own) {
        drop_segment(segment);
    }
    leave();
    free(self);
}

void *mpx_block_data(const mpx_block_t *self)
{
    return self->segment->base + self->offset + GRAIN;
}

size_t mpx_block_bytes(const mpx_block_t *self)
{
    return self->bytes;
}

void mpx_block_populate(const mpx_block_t *self, size_t offset, size_t bytes)
{
    unsigned char *data = mpx_block_data(self);
    uintptr_t first = (uintptr_t)(data + offset) / PAGE * PAGE;
    uintptr_t end = ((uintptr_t)(data + offset) + bytes + PAGE - 1) / PAGE * PAGE;
    (void)madvise((void *)first, end - first, MADV_POPULATE_WRITE);
}

void mpx_block_collapse(const mpx_block_t *self)
{
    const segment_t *segment = self->segment;
    uintptr_t base = (uintptr_t)segment->base;
    uintptr_t from = (uintptr_t)mpx_block_data(self);
    uintptr_t end = from + self->bytes;
    uintptr_t first = from / HUGE_PAGE * HUGE_PAGE;
    uintptr_t last = (end + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (self->bytes < HUGE_PAGE || first < base || last > base + segment->bytes)
        return;
    for (uintptr_t at = first; at < last; at += HUGE_PAGE) {
        /* One without any page can't be collapsed. Only our own bytes are ours to touch. */
        volatile unsigned char *ours = (unsigned char *)(at < from ? from : at);
        *ours = *ours;
    }
    (void)madvise((void *)first, last - first, MADV_COLLAPSE);
}

void mpx_arena_counts(mpx_arena_counts_t *out)
{
    enter();
    *out = counts;
    leave();
}

/* ---- references ----------------------------------------------------------------------------- */

void mpx_block_ref(const mpx_block_t *self, mp_ref_t *out)
{
    /* Our descriptor, also for another's block: we are the one who lives now. */
    *out = (mp_ref_t){{mpx_reference_word(self->kind), self->segment->id, mpx_life_self(),
                       (uint64_t)self->segment->fd, self->offset, self->serial}};
}

static segment_t *known_segment(uint64_t id)
{
    segment_t *segment;
    DL_FOREACH (segments, segment)
        if (segment->id == id)
            return segment;
    return NULL;
}

/* The maker's descriptor, if it is what it should be: opening something else (a device, a
 * pipe) could have effects, so its name is looked at first. */
static mp_rc_t open_segment(mpx_life_t maker, int number, int *out)
{
    char path[64];
    char target[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)mpx_life_pid(maker), number);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0 && (errno == EACCES || errno == EPERM))
        return mpx_fault(MP_EPERM, "a reference to another user's object");
    if (length < 0 || mpx_life_gone(maker))
        return mpx_fault(MP_ENOTFOUND, "a reference whose maker, process %d, has ended",
                         (int)mpx_life_pid(maker));
    target[length] = 0;
    if (strncmp(target, "/memfd:mp-arena", strlen("/memfd:mp-arena")) != 0)
        return mpx_fault(MP_ENOTFOUND, "a reference to an object that is no more");
    *out = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return *out < 0 ? mpx_fault_errno("opening a reference") : MP_OK;
}

static mp_rc_t check_segment(int fd, uint64_t id, size_t *bytes)
{
    segment_head_t head;
    struct stat info;
    if (fstat(fd, &info) != 0 || pread(fd, &head, sizeof head, 0) != sizeof head ||
        head.magic != segment_magic || head.bytes != (uint64_t)info.st_size)
        return mpx_fault(MP_ECORRUPT, "a reference to a damaged segment");
    if (head.id != id)
        return mpx_fault(MP_ENOTFOUND, "a reference to an object that is no more");
    *bytes = head.bytes;
    return MP_OK;
}

static mp_rc_t attach_segment(const mp_ref_t *ref, segment_t **out)
{
    int fd = -1;
    size_t bytes = 0;
    mp_rc_t rc = open_segment(ref->word[2], (int)ref->word[3], &fd);
    if (rc != MP_OK)
        return rc;
    segment_t *segment = calloc(1, sizeof *segment);
    rc = segment ? check_segment(fd, ref->word[1], &bytes) : mpx_fault(MP_ENOMEM, "a segment");
    if (rc == MP_OK) {
        *segment = (segment_t){.bytes = bytes, .id = ref->word[1], .fd = fd};
        rc = map_segment(segment);
    }
    if (rc != MP_OK) {
        close(fd);
        free(segment);
        return rc;
    }
    *out = segment;
    return MP_OK;
}

static mp_rc_t check_block(const segment_t *segment, const mp_ref_t *ref, uint32_t kind)
{
    uint64_t offset = ref->word[4];
    if (offset % GRAIN || offset < GRAIN || offset > segment->bytes - GRAIN)
        return mpx_fault(MP_EINVAL, "not a reference");
    const block_head_t *head = head_at(segment, offset);
    if (head->serial != ref->word[5] || head->kind != kind)
        return mpx_fault(MP_ENOTFOUND, "a reference to an object that was destroyed");
    if (head->bytes > segment->bytes - GRAIN - offset)
        return mpx_fault(MP_ECORRUPT, "a reference to a damaged object");
    return MP_OK;
}

static mp_rc_t open_block(const mp_ref_t *ref, uint32_t kind, mpx_block_t *self)
{
    mp_rc_t rc = MP_OK;
    segment_t *segment = known_segment(ref->word[1]);
    if (!segment)
        rc = attach_segment(ref, &segment);
    if (rc == MP_OK)
        rc = check_block(segment, ref, kind);
    if (rc != MP_OK) {
        if (segment && !segment->users && !segment->own)
            drop_segment(segment);
        return rc;
    }
    segment->users++;
    *self = (mpx_block_t){.segment = segment,
                          .generation = mpx_fork_generation(),
                          .offset = ref->word[4],
                          .bytes = head_at(segment, ref->word[4])->bytes,
                          .serial = ref->word[5],
                          .kind = kind};
    return MP_OK;
}

mp_rc_t mpx_block_open(const mp_ref_t *ref, uint32_t kind, mpx_block_t **out)
{
    if (!ref || ref->word[0] != mpx_reference_word(kind) || !ref->word[1] || !ref->word[5] ||
        ref->word[3] > INT32_MAX)
        return mpx_fault(MP_EINVAL, "not a reference to an object of this kind");
    mpx_block_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a shared object");
    enter();
    mp_rc_t rc = open_block(ref, kind, self);
    leave();
    if (rc != MP_OK) {
        free(self);
        return rc;
    }
    *out = self;
    return MP_OK;
}
