#include "ring.h"

#include "fault.h"
#include "lane.h"
#include <assert.h>
#include <string.h>

enum {
    ALIGN = MPX_RING_ALIGN,
    KEEP_MAX = 1 << 20, /* memory of a fragmented record that is kept for the next one */
    WARM_BYTES = 16384, /* beyond them an empty ring starts over */
    PAGE_BYTES = 4096
};

/* Not 0: zeroed memory is no record. */
typedef enum record_kind { WHOLE = 1, FIRST, MIDDLE, LAST, SKIP } record_kind_t;

/* Atomic so that the reader's one look at each field is really one. */
typedef struct record_head {
    _Atomic uint32_t length; /* of the payload here, without padding */
    _Atomic uint32_t kind;
    _Atomic uint32_t total; /* FIRST: of all fragments */
    _Atomic uint32_t unused;
} record_head_t;

static_assert(sizeof(record_head_t) == ALIGN, "a record's payload is aligned like its head");

static size_t span_of(size_t length)
{
    return sizeof(record_head_t) + ((length + ALIGN - 1) & ~(size_t)(ALIGN - 1));
}

static record_head_t *head_at(unsigned char *at)
{
    return (record_head_t *)(void *)at;
}

static void set_head(unsigned char *at, record_kind_t kind, size_t length, size_t total)
{
    record_head_t *head = head_at(at);
    atomic_store_explicit(&head->length, (uint32_t)length, memory_order_relaxed);
    atomic_store_explicit(&head->kind, (uint32_t)kind, memory_order_relaxed);
    atomic_store_explicit(&head->total, (uint32_t)total, memory_order_relaxed);
}

void mpx_ring_writer_free(mpx_ring_writer_t *self)
{
    mpx_buf_free(&self->rest);
}

void mpx_ring_reader_free(mpx_ring_reader_t *self)
{
    mpx_buf_free(&self->joined);
}

/* ---- The writer ---- */

static mp_rc_t writer_broke(mpx_ring_writer_t *self)
{
    self->broken = true;
    return mpx_fault(MP_EPROTO, "lane: the peer's read position is impossible");
}

/* A tail only moves forward, and never past the head. */
static bool tail_is_valid(const mpx_ring_writer_t *self, uint64_t tail)
{
    return tail % ALIGN == 0 && tail - self->tail <= self->head - self->tail;
}

static mp_rc_t reload_tail(mpx_ring_writer_t *self)
{
    /* acquire: the reader is done with the bytes that we are about to overwrite. */
    uint64_t tail = atomic_load_explicit(&self->shared->tail, memory_order_acquire);
    if (self->broken || !tail_is_valid(self, tail))
        return writer_broke(self);
    self->tail = tail;
    return MP_OK;
}

static void publish(mpx_ring_writer_t *self, size_t bytes)
{
    self->head += bytes;
    /* release: the reader that sees the position sees the record. */
    atomic_store_explicit(&self->shared->head, self->head, memory_order_release);
}

/* Bytes to skip before a record of `span` bytes, or SIZE_MAX when there is no room. */
static size_t place(const mpx_ring_writer_t *self, size_t span)
{
    size_t free_bytes = self->size - (size_t)(self->head - self->tail);
    size_t to_end = self->size - (size_t)(self->head & (self->size - 1));
    size_t skip = span <= to_end ? 0 : to_end;
    return span + skip <= free_bytes ? skip : SIZE_MAX;
}

/* Find room for a record of `length` bytes, with the gap before it filled (but not
 * published). MP_OK; MP_EBUSY; MP_EPROTO. */
static mp_rc_t claim(mpx_ring_writer_t *self, size_t length, size_t *skip, unsigned char **at)
{
    size_t span = span_of(length);
    *skip = place(self, span);
    if (*skip == SIZE_MAX) {
        mp_rc_t rc = reload_tail(self);
        if (rc)
            return rc;
        *skip = place(self, span);
    }
    if (*skip == SIZE_MAX) {
        self->wanted = length ? length : 1;
        return MP_EBUSY;
    }
    self->wanted = 0;
    size_t offset = (size_t)(self->head & (self->size - 1));
    if (*skip) {
        set_head(self->bytes + offset, SKIP, *skip - sizeof(record_head_t), 0);
        offset = 0;
    }
    *at = self->bytes + offset;
    return MP_OK;
}

/* Let a whole record lie at the beginning of an empty ring, whose pages are in use, rather than go
 * on to the next page. Done once a page, as the look at the reader's position costs a cache miss.
 */
static void start_over(mpx_ring_writer_t *self, size_t length)
{
    size_t offset = (size_t)(self->head & (self->size - 1));
    size_t page = offset % PAGE_BYTES, span = span_of(length);
    if (!self->starts_over || offset < WARM_BYTES || span > offset ||
        (page && page + span <= PAGE_BYTES) || reload_tail(self) != MP_OK ||
        self->tail != self->head)
        return;
    size_t gap = self->size - offset;
    set_head(self->bytes + offset, SKIP, gap - sizeof(record_head_t), 0);
    publish(self, gap);
}

/* Where a walk over the parts of a record stands. */
typedef struct gather {
    const mp_bytes_t *part;
    size_t from; /* in *part */
} gather_t;

static void gather(gather_t *self, unsigned char *to, size_t length)
{
    while (length) {
        size_t more = self->part->size - self->from;
        size_t take = more < length ? more : length;
        if (take)
            memcpy(to, (const unsigned char *)self->part->data + self->from, take);
        to += take;
        length -= take;
        self->from += take;
        if (self->from == self->part->size) {
            self->part++;
            self->from = 0;
        }
    }
}

static mp_rc_t write_whole(mpx_ring_writer_t *self, const mp_bytes_t *parts, size_t parts_count,
                           size_t length)
{
    size_t skip;
    unsigned char *at;
    start_over(self, length);
    mp_rc_t rc = claim(self, length, &skip, &at);
    if (rc)
        return rc;
    set_head(at, WHOLE, length, 0);
    unsigned char *to = at + sizeof(record_head_t);
    for (size_t i = 0; i < parts_count; i++) {
        if (parts[i].size)
            memcpy(to, parts[i].data, parts[i].size);
        to += parts[i].size;
    }
    publish(self, skip + span_of(length));
    return MP_OK;
}

/* The longest payload that fits now, on either side of the ring's end. */
static size_t room_with(const mpx_ring_writer_t *self, uint64_t tail)
{
    size_t free_bytes = self->size - (size_t)(self->head - tail);
    size_t to_end = self->size - (size_t)(self->head & (self->size - 1));
    size_t here = free_bytes < to_end ? free_bytes : to_end;
    size_t there = free_bytes - here;
    size_t most = here > there ? here : there;
    if (most < sizeof(record_head_t))
        return 0;
    most -= sizeof(record_head_t);
    size_t limit = mpx_ring_whole_max(self->size);
    return most < limit ? most : limit;
}

/* Don't write fragments smaller than this unless it is the last one. */
static size_t fragment_min(const mpx_ring_writer_t *self, size_t left)
{
    size_t least = self->size / 16;
    return left < least ? left : least;
}

/* Write as many fragments as fit. *done counts the record's bytes written so far. */
static mp_rc_t write_fragments(mpx_ring_writer_t *self, gather_t *source, size_t total,
                               size_t *done)
{
    while (*done < total) {
        mp_rc_t rc = reload_tail(self);
        if (rc)
            return rc;
        size_t left = total - *done;
        size_t room = room_with(self, self->tail);
        size_t least = fragment_min(self, left);
        if (room < least) {
            self->wanted = least;
            return MP_EBUSY;
        }
        size_t length = left < room ? left : room;
        size_t skip;
        unsigned char *at;
        rc = claim(self, length, &skip, &at);
        if (rc)
            return rc;
        record_kind_t kind = *done == 0 ? FIRST : length == left ? LAST : MIDDLE;
        set_head(at, kind, length, total);
        gather(source, at + sizeof(record_head_t), length);
        *done += length;
        publish(self, skip + span_of(length));
    }
    return MP_OK;
}

/* Longer than a whole record may be, so there are at least two fragments. Memory for
 * the rest is taken before anything is written: after that there is no way back. */
static mp_rc_t write_long(mpx_ring_writer_t *self, const mp_bytes_t *parts, size_t total)
{
    if (!mpx_buf_reserve(&self->rest, total))
        return mpx_fault(MP_ENOMEM, "lane: no memory for a record of %zu bytes", total);
    gather_t source = {.part = parts};
    size_t done = 0;
    mp_rc_t rc = write_fragments(self, &source, total, &done);
    if (rc == MP_EBUSY) {
        gather(&source, self->rest.data + done, total - done);
        self->rest.size = total;
        self->rest_from = done;
    } else {
        mpx_buf_free(&self->rest);
    }
    return rc;
}

mp_rc_t mpx_ring_write(mpx_ring_writer_t *self, const mp_bytes_t *parts, size_t parts_count)
{
    assert(!self->open && !mpx_ring_cut(self));
    if (self->broken)
        return writer_broke(self);
    if (self->open || mpx_ring_cut(self))
        return MP_EBUSY;
    size_t total = 0;
    for (size_t i = 0; i < parts_count; i++) {
        if (parts[i].size > MPX_LANE_RECORD_MAX - total)
            return mpx_fault(MP_ETOOLARGE, "lane: a record is longer than %u bytes",
                             MPX_LANE_RECORD_MAX);
        total += parts[i].size;
    }
    if (total <= mpx_ring_whole_max(self->size))
        return write_whole(self, parts, parts_count, total);
    return write_long(self, parts, total);
}

mp_rc_t mpx_ring_flush(mpx_ring_writer_t *self)
{
    if (self->broken)
        return writer_broke(self);
    if (!mpx_ring_cut(self))
        return MP_OK;
    mp_bytes_t rest = mpx_buf_bytes(&self->rest);
    gather_t source = {.part = &rest, .from = self->rest_from};
    mp_rc_t rc = write_fragments(self, &source, rest.size, &self->rest_from);
    if (rc != MP_EBUSY)
        mpx_buf_free(&self->rest);
    return rc;
}

bool mpx_ring_cut(const mpx_ring_writer_t *self)
{
    return self->rest.size != 0;
}

size_t mpx_ring_rest(const mpx_ring_writer_t *self)
{
    return self->rest.size ? self->rest.size - self->rest_from : 0;
}

size_t mpx_ring_room(const mpx_ring_writer_t *self)
{
    uint64_t tail = atomic_load_explicit(&self->shared->tail, memory_order_relaxed);
    if (self->broken || self->open || mpx_ring_cut(self) || !tail_is_valid(self, tail))
        return 0;
    return room_with(self, tail);
}

void *mpx_ring_open(mpx_ring_writer_t *self, size_t size)
{
    assert(!self->open && !mpx_ring_cut(self) && size <= mpx_ring_whole_max(self->size));
    size_t skip;
    unsigned char *at;
    if (!self->broken)
        start_over(self, size);
    if (self->broken || claim(self, size, &skip, &at))
        return NULL;
    if (skip)
        publish(self, skip);
    unsigned char *payload = at + sizeof(record_head_t);
    memset(payload, 0, size);
    atomic_store_explicit(&self->shared->open_size, (uint32_t)size, memory_order_relaxed);
    atomic_store_explicit(&self->shared->cursor, 0, memory_order_relaxed);
    /* release: last, so that whoever finds the record open finds it so. */
    atomic_store_explicit(&self->shared->open_at, self->head + 1, memory_order_release);
    self->open = true;
    self->opened = size;
    return payload;
}

void mpx_ring_cursor(mpx_ring_writer_t *self, uint32_t valid)
{
    atomic_store_explicit(&self->shared->cursor, valid, memory_order_release);
}

void mpx_ring_commit(mpx_ring_writer_t *self, size_t size)
{
    assert(self->open && size <= self->opened);
    self->open = false;
    if (size == 0) {
        atomic_store_explicit(&self->shared->open_at, 0, memory_order_release);
        return;
    }
    set_head(self->bytes + (size_t)(self->head & (self->size - 1)), WHOLE, size, 0);
    publish(self, span_of(size));
}

bool mpx_ring_writable(mpx_ring_writer_t *self)
{
    if (reload_tail(self))
        return true;
    size_t wanted = self->wanted ? self->wanted : mpx_ring_whole_max(self->size);
    return place(self, span_of(wanted)) != SIZE_MAX;
}

/* ---- The reader ---- */

static mp_rc_t reader_broke(mpx_ring_reader_t *self)
{
    self->broken = true;
    return mpx_fault(MP_EPROTO, "lane: the peer's records are damaged");
}

static mp_rc_t reload_head(mpx_ring_reader_t *self)
{
    uint64_t head = atomic_load_explicit(&self->shared->head, memory_order_acquire);
    if (self->broken || head % ALIGN || head - self->tail > self->size ||
        head - self->tail < self->head - self->tail)
        return reader_broke(self);
    self->head = head;
    return MP_OK;
}

/* Give the oldest `bytes` back to the writer. Whether it should be woken is looked at
 * only when a quarter of the ring has become free, because the look costs a full barrier.
 * A writer that sleeps for room wants at most little more than half of the ring (a gap
 * and a record of a quarter), so more than a quarter is still to be given back, and the
 * next look still to come. */
static void give_back(mpx_ring_reader_t *self, size_t bytes)
{
    uint64_t quarter = self->size / 4;
    uint64_t before = self->tail / quarter;
    self->tail += bytes;
    /* release: our reads of those bytes come before the writer's writes. */
    atomic_store_explicit(&self->shared->tail, self->tail, memory_order_release);
    if (self->tail / quarter != before)
        self->relieved = true;
}

/* A checked copy of the oldest record's head. */
typedef struct record {
    uint32_t kind;
    uint32_t length;
    uint32_t total;
    const unsigned char *data;
} record_t;

/* MP_OK; MP_EBUSY; MP_EPROTO. */
static mp_rc_t peek(mpx_ring_reader_t *self, record_t *out)
{
    if (self->tail == self->head || self->broken) {
        mp_rc_t rc = reload_head(self);
        if (rc)
            return rc;
        if (self->tail == self->head)
            return MP_EBUSY;
    }
    size_t offset = (size_t)(self->tail & (self->size - 1));
    size_t there = (size_t)(self->head - self->tail);
    size_t to_end = self->size - offset;
    record_head_t *head = head_at(self->bytes + offset);
    out->length = atomic_load_explicit(&head->length, memory_order_relaxed);
    out->kind = atomic_load_explicit(&head->kind, memory_order_relaxed);
    out->total = atomic_load_explicit(&head->total, memory_order_relaxed);
    out->data = self->bytes + offset + sizeof(record_head_t);
    if (out->length > self->size)
        return reader_broke(self);
    size_t span = span_of(out->length);
    return span <= there && span <= to_end ? MP_OK : reader_broke(self);
}

/* A gap always reaches to the ring's end and never starts it: so two never follow each
 * other, and nobody can keep us busy with gaps. */
static mp_rc_t skip_gap(mpx_ring_reader_t *self, const record_t *record)
{
    size_t offset = (size_t)(self->tail & (self->size - 1));
    size_t span = span_of(record->length);
    if (offset == 0 || offset + span != self->size)
        return reader_broke(self);
    give_back(self, span);
    return MP_OK;
}

/* MP_OK; MP_EPROTO. For the same reason as above no fragment is empty. */
static mp_rc_t check_fragment(mpx_ring_reader_t *self, const record_t *record)
{
    bool first = record->kind == FIRST;
    if (record->length == 0 || first != (self->expected == 0))
        return reader_broke(self);
    if (first && (record->total > MPX_LANE_RECORD_MAX || record->total <= record->length))
        return reader_broke(self);
    size_t left = first ? record->total : self->expected - self->joined.size;
    if (record->kind == LAST ? record->length != left : record->length >= left)
        return reader_broke(self);
    return MP_OK;
}

/* Takes memory for what has come, not for what was announced. MP_OK; MP_EPROTO;
 * MP_ENOMEM (and the fragment stays where it is). */
static mp_rc_t join(mpx_ring_reader_t *self, const record_t *record)
{
    mp_rc_t rc = check_fragment(self, record);
    if (rc)
        return rc;
    rc = mpx_buf_add(&self->joined, record->data, record->length);
    if (rc)
        return mpx_fault(rc, "lane: no memory for a record of %u bytes", record->total);
    if (record->kind == FIRST)
        self->expected = record->total;
    give_back(self, span_of(record->length));
    return MP_OK;
}

static mp_rc_t hold(mpx_ring_reader_t *self, mp_bytes_t record, size_t span, mp_bytes_t *out)
{
    self->held = true;
    self->record = record;
    self->span = span;
    *out = record;
    return MP_OK;
}

mp_rc_t mpx_ring_read(mpx_ring_reader_t *self, mp_bytes_t *out)
{
    if (self->held) {
        *out = self->record;
        return MP_OK;
    }
    record_t record;
    mp_rc_t rc;
    while (!(rc = peek(self, &record))) {
        switch (record.kind) {
        case WHOLE:
            if (self->expected)
                return reader_broke(self);
            return hold(self, (mp_bytes_t){record.data, record.length}, span_of(record.length),
                        out);
        case SKIP:
            rc = skip_gap(self, &record);
            break;
        case FIRST:
        case MIDDLE:
        case LAST:
            rc = join(self, &record);
            if (!rc && record.kind == LAST)
                return hold(self, mpx_buf_bytes(&self->joined), 0, out);
            break;
        default:
            rc = reader_broke(self);
        }
        if (rc)
            return rc;
    }
    return rc;
}

void mpx_ring_pop(mpx_ring_reader_t *self)
{
    assert(self->held);
    self->held = false;
    if (self->span) {
        give_back(self, self->span);
        return;
    }
    self->expected = 0;
    if (self->joined.room > KEEP_MAX)
        mpx_buf_free(&self->joined);
    else
        mpx_buf_clear(&self->joined);
}

bool mpx_ring_salvage(mpx_ring_reader_t *self, mp_bytes_t *out, uint32_t *valid)
{
    if (self->held || reload_head(self) || self->head != self->tail)
        return false;
    uint64_t open_at = atomic_load_explicit(&self->shared->open_at, memory_order_acquire);
    uint32_t size = atomic_load_explicit(&self->shared->open_size, memory_order_relaxed);
    size_t offset = (size_t)(self->tail & (self->size - 1));
    if (open_at != self->tail + 1 || size > mpx_ring_whole_max(self->size) ||
        span_of(size) > self->size - offset)
        return false;
    *out = (mp_bytes_t){self->bytes + offset + sizeof(record_head_t), size};
    *valid = atomic_load_explicit(&self->shared->cursor, memory_order_acquire);
    return true;
}

bool mpx_ring_readable(mpx_ring_reader_t *self)
{
    return self->held || reload_head(self) || self->head != self->tail;
}
