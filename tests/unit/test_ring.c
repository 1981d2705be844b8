/* One ring in memory of its own, with positions and records that no writer makes. */
#include "lane_kit.h"
#include "ring.h"

/* A ring in memory of its own, so that AddressSanitizer sees a step over its end. */
typedef struct bench {
    mpx_ring_shared_t *shared;
    mpx_ring_writer_t writer;
    mpx_ring_reader_t reader;
} bench_t;

static void bench_new(bench_t *self)
{
    mpx_ring_shared_t *shared = aligned_alloc(MPX_RING_LINE, sizeof *shared);
    unsigned char *bytes = aligned_alloc(16, RING);
    memset(shared, 0, sizeof *shared);
    memset(bytes, 0, RING);
    *self = (bench_t){.shared = shared,
                      .writer = {.shared = shared, .bytes = bytes, .size = RING},
                      .reader = {.shared = shared, .bytes = bytes, .size = RING}};
}

static void bench_free(bench_t *self)
{
    mpx_ring_writer_free(&self->writer);
    mpx_ring_reader_free(&self->reader);
    free(self->writer.bytes);
    free(self->shared);
}

/* One record head after the other, from the ring's beginning. */
enum { WHOLE = 1, FIRST, MIDDLE, LAST, SKIP };
typedef struct wild_head {
    uint32_t length;
    uint32_t kind;
    uint32_t total;
} wild_head_t;

START_TEST(impossible_records_are_refused)
{
    static const struct {
        uint64_t head;
        wild_head_t records[3];
        mp_rc_t rc;
    } cases[] = {
        {32, {{16, WHOLE, 0}}, MP_OK},
        {8, {{0, WHOLE, 0}}, MP_EPROTO},
        {RING + 16, {{16, WHOLE, 0}}, MP_EPROTO},
        {UINT64_MAX - 15, {{16, WHOLE, 0}}, MP_EPROTO},
        {16, {{0, 0, 0}}, MP_EPROTO},
        {16, {{0, 6, 0}}, MP_EPROTO},
        {16, {{1, WHOLE, 0}}, MP_EPROTO},
        {RING, {{RING - 15, WHOLE, 0}}, MP_EPROTO},
        {RING, {{UINT32_MAX, WHOLE, 0}}, MP_EPROTO},
        {RING, {{RING - 16, SKIP, 0}}, MP_EPROTO},
        {64, {{16, FIRST, 32}, {16, SKIP, 0}}, MP_EPROTO},
        {32, {{16, MIDDLE, 32}}, MP_EPROTO},
        {32, {{16, LAST, 32}}, MP_EPROTO},
        {32, {{16, FIRST, 17}}, MP_EBUSY},
        {32, {{16, FIRST, MPX_LANE_RECORD_MAX}}, MP_EBUSY},
        {32, {{16, FIRST, MPX_LANE_RECORD_MAX + 1}}, MP_EPROTO},
        {32, {{16, FIRST, 16}}, MP_EPROTO},
        {32, {{16, FIRST, 0}}, MP_EPROTO},
        {16, {{0, FIRST, 32}}, MP_EPROTO},
        {64, {{16, FIRST, 32}, {16, LAST, 0}}, MP_OK},
        {64, {{16, FIRST, 32}, {15, LAST, 0}}, MP_EPROTO},
        {64, {{16, FIRST, 31}, {16, LAST, 0}}, MP_EPROTO},
        {64, {{16, FIRST, 32}, {16, MIDDLE, 0}}, MP_EPROTO},
        {48, {{16, FIRST, 32}, {0, MIDDLE, 0}}, MP_EPROTO},
        {64, {{16, FIRST, 32}, {16, FIRST, 32}}, MP_EPROTO},
        {64, {{16, FIRST, 32}, {16, WHOLE, 32}}, MP_EPROTO},
        {96, {{16, FIRST, 33}, {16, MIDDLE, 0}, {1, LAST, 0}}, MP_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench_t bench;
        bench_new(&bench);
        size_t at = 0;
        for (size_t k = 0; k < 3 && at + sizeof(wild_head_t) <= RING; k++) {
            memcpy(bench.reader.bytes + at, &cases[i].records[k], sizeof(wild_head_t));
            at += 16 + ((size_t)cases[i].records[k].length + 15) / 16 * 16;
        }
        atomic_store(&bench.shared->head, cases[i].head);
        mp_bytes_t record;
        mp_rc_t rc = mpx_ring_read(&bench.reader, &record);
        ck_assert_msg(rc == cases[i].rc, "case %zu: %s", i, mp_errname(rc));
        ck_assert(cases[i].rc != MP_EBUSY || bench.reader.joined.room < 4096);
        if (cases[i].rc == MP_EPROTO)
            ck_assert_int_eq(mpx_ring_read(&bench.reader, &record), MP_EPROTO);
        bench_free(&bench);
    }
}
END_TEST

START_TEST(impossible_positions_are_refused)
{
    static const struct {
        bool tail; /* else the head */
        uint64_t position;
    } cases[] = {{true, 1024 + 16}, {true, 512 + 8}, {true, 0},           {true, UINT64_MAX - 15},
                 {false, 512},      {false, 1032},   {false, RING + 1024}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static unsigned char data[RING];
        bench_t bench;
        mp_bytes_t record;
        bench_new(&bench);
        for (int k = 0; k < 4; k++)
            ck_assert_int_eq(mpx_ring_write(&bench.writer, &(mp_bytes_t){data, 240}, 1), MP_OK);
        for (int k = 0; k < 2; k++) {
            ck_assert_int_eq(mpx_ring_read(&bench.reader, &record), MP_OK);
            mpx_ring_pop(&bench.reader);
        }
        ck_assert(mpx_ring_writable(&bench.writer));
        mp_bytes_t part = {data, sizeof data};
        if (cases[i].tail) {
            atomic_store(&bench.shared->tail, cases[i].position);
            ck_assert_uint_eq(mpx_ring_room(&bench.writer), 0);
            ck_assert_int_eq(mpx_ring_write(&bench.writer, &part, 1), MP_EPROTO);
            ck_assert_int_eq(mpx_ring_write(&bench.writer, &part, 1), MP_EPROTO);
            ck_assert_int_eq(mpx_ring_flush(&bench.writer), MP_EPROTO);
            ck_assert_ptr_null(mpx_ring_open(&bench.writer, 16));
            ck_assert(mpx_ring_writable(&bench.writer));
        } else {
            atomic_store(&bench.shared->head, cases[i].position);
            ck_assert(mpx_ring_readable(&bench.reader));
            ck_assert_int_eq(mpx_ring_read(&bench.reader, &record), MP_EPROTO);
            ck_assert(!mpx_ring_salvage(&bench.reader, &record, &(uint32_t){0}));
        }
        bench_free(&bench);
    }
}
END_TEST

static void damage(const bench_t *bench, uint64_t *random)
{
    mpx_ring_shared_t *shared = bench->shared;
    uint64_t near = random_u32(random) % 2 ? bench->reader.tail : bench->writer.head;
    wild_head_t head = {(uint32_t)wild_number(random, 0), random_u32(random) % 7,
                        (uint32_t)wild_number(random, MPX_LANE_RECORD_MAX)};
    switch (random_u32(random) % 8) {
    case 0:
        atomic_store(&shared->head, wild_number(random, near));
        break;
    case 1:
        atomic_store(&shared->tail, wild_number(random, near));
        break;
    case 2:
        atomic_store(&shared->open_at, bench->reader.tail + 1);
        atomic_store(&shared->open_size, (uint32_t)wild_number(random, 0));
        break;
    case 3:
        for (size_t i = 0; i < RING; i++)
            bench->reader.bytes[i] = (unsigned char)random_u32(random);
        break;
    default:
        memcpy(bench->reader.bytes + near % RING, &head, sizeof head);
    }
}

START_TEST(damaged_rings_do_no_harm)
{
    static unsigned char data[2 * RING];
    uint64_t random = 1;
    for (int round = 0; round < 2000; round++) {
        bench_t bench;
        mp_bytes_t record;
        bench_new(&bench);
        for (int step = 0; step < 60; step++) {
            mp_bytes_t part = {data, random_u32(&random) % (step % 9 ? QUARTER / 4 : sizeof data)};
            if (random_u32(&random) % 6 == 0)
                damage(&bench, &random);
            if (mpx_ring_cut(&bench.writer))
                (void)!mpx_ring_flush(&bench.writer);
            else
                (void)!mpx_ring_write(&bench.writer, &part, 1);
            (void)mpx_ring_room(&bench.writer);
            if (mpx_ring_salvage(&bench.reader, &record, &(uint32_t){0}))
                touch(record);
            if (random_u32(&random) % 2 && mpx_ring_read(&bench.reader, &record) == MP_OK) {
                ck_assert_uint_le(record.size, MPX_LANE_RECORD_MAX);
                touch(record);
                mpx_ring_pop(&bench.reader);
            }
        }
        bench_free(&bench);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        impossible_records_are_refused,
        impossible_positions_are_refused,
        damaged_rings_do_no_harm,
    };
    return run_suite("ring", tests, sizeof tests / sizeof *tests);
}
