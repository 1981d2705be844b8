/* The queue's core: rooms, places, batches, redelivery; and thousands of seeds of visitors that
 * come, put, take, settle, withdraw and die. */
#include "fifo.h"
#include "suite.h"

#include <string.h>

enum { VISITORS = 6, STEPS = 400, KEPT = 4096 };

static mpx_fifo_t *make(size_t maxsize, size_t max_bytes)
{
    mpx_fifo_t *fifo = NULL;
    mpx_fifo_options_t options = {.maxsize = maxsize,
                                  .max_bytes = max_bytes,
                                  .window_items = 1000000,
                                  .window_bytes = 1000000000};
    ck_assert_int_eq(mpx_fifo_new(&options, &fifo), MP_OK);
    return fifo;
}

static void put(mpx_fifo_t *fifo, mpx_visitor_t *visitor, uint64_t value)
{
    ck_assert_int_eq(mpx_fifo_put(fifo, visitor, 0, (mp_bytes_t){&value, sizeof value}), MP_OK);
}

static uint64_t value_of(const mpx_fifo_item_t *item)
{
    uint64_t value;
    memcpy(&value, item->bytes, sizeof value);
    return value;
}

static mpx_fifo_counts_t counts(const mpx_fifo_t *fifo)
{
    mpx_fifo_counts_t all;
    mpx_fifo_count(fifo, &all);
    return all;
}

/* The next effect must be this one. */
static mpx_fifo_effect_t expect(mpx_fifo_t *fifo, int64_t now, mpx_fifo_effect_kind_t kind,
                                const void *tag)
{
    mpx_fifo_effect_t effect;
    ck_assert(mpx_fifo_next(fifo, now, &effect));
    ck_assert_int_eq(effect.kind, kind);
    ck_assert_ptr_eq(effect.tag, tag);
    return effect;
}

static void expect_nothing(mpx_fifo_t *fifo, int64_t now)
{
    mpx_fifo_effect_t effect;
    ck_assert(!mpx_fifo_next(fifo, now, &effect));
    ck_assert(mpx_fifo_is_sound(fifo));
}

START_TEST(a_full_queue_parks_and_admits_in_turn)
{
    mpx_fifo_t *fifo = make(2, 1000);
    int a, b;
    mpx_visitor_t *one = mpx_fifo_come(fifo, &a);
    mpx_visitor_t *two = mpx_fifo_come(fifo, &b);
    for (uint64_t i = 0; i < 4; i++)
        put(fifo, one, i);
    put(fifo, two, 100);
    ck_assert_uint_eq(expect(fifo, 0, MPX_FIFO_ADMITTED, &a).count, 2);
    expect_nothing(fifo, 0);
    ck_assert_uint_eq(counts(fifo).queued, 2);
    ck_assert_uint_eq(counts(fifo).parked, 3);
    static const uint64_t order[] = {0, 1, 2, 100, 3}; /* the other one has its turn */
    for (size_t i = 0; i < 5; i++) {
        mpx_fifo_item_t *item = mpx_fifo_pop(fifo);
        ck_assert_uint_eq(value_of(item), order[i]);
        mpx_fifo_drop(fifo, item);
    }
    ck_assert_ptr_null(mpx_fifo_pop(fifo));
    mpx_fifo_destroy(&fifo);
}
END_TEST

START_TEST(bytes_bound_as_well_as_items)
{
    mpx_fifo_t *fifo = make(0, 2 * (8 + MPX_FIFO_ITEM_COST) + 4);
    int a;
    mpx_visitor_t *one = mpx_fifo_come(fifo, &a);
    for (uint64_t i = 0; i < 3; i++)
        put(fifo, one, i);
    ck_assert_uint_eq(counts(fifo).queued, 2);
    ck_assert_int_eq(mpx_fifo_offer(fifo, 0, (mp_bytes_t){"x", 1}), MP_EBUSY); /* not its turn */
    mpx_fifo_drop(fifo, mpx_fifo_pop(fifo));
    ck_assert_uint_eq(counts(fifo).queued, 2);
    ck_assert_uint_eq(counts(fifo).bytes, 2 * (8 + MPX_FIFO_ITEM_COST));
    mpx_fifo_destroy(&fifo);
}
END_TEST

START_TEST(nothing_is_put_beyond_a_window_or_without_a_place)
{
    static const unsigned char bytes[100];
    mpx_fifo_options_t options = {
        .maxsize = 1, .max_bytes = 1000, .window_items = 4, .window_bytes = 50};
    mpx_fifo_t *fifo = NULL;
    int a;
    ck_assert_int_eq(mpx_fifo_new(&options, &fifo), MP_OK);
    mpx_visitor_t *one = mpx_fifo_come(fifo, &a);
    ck_assert_int_eq(mpx_fifo_put(fifo, one, 0, (mp_bytes_t){bytes, 100}), MP_OK); /* alone */
    ck_assert_int_eq(mpx_fifo_put(fifo, one, 0, (mp_bytes_t){bytes, 1}), MP_EPROTO);
    expect(fifo, 0, MPX_FIFO_ADMITTED, &a);
    ck_assert_int_eq(mpx_fifo_put(fifo, one, 0, (mp_bytes_t){bytes, 30}), MP_OK);
    ck_assert_int_eq(mpx_fifo_put(fifo, one, 0, (mp_bytes_t){bytes, 30}), MP_EPROTO);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(mpx_fifo_put(fifo, one, 0, (mp_bytes_t){bytes, 0}), MP_OK);
    ck_assert_int_eq(mpx_fifo_put(fifo, one, 0, (mp_bytes_t){bytes, 0}), MP_EPROTO);
    expect_nothing(fifo, 0);
    mpx_fifo_destroy(&fifo);
    options.by_place = true;
    ck_assert_int_eq(mpx_fifo_new(&options, &fifo), MP_OK);
    one = mpx_fifo_come(fifo, &a);
    ck_assert_int_eq(mpx_fifo_put(fifo, one, 0, (mp_bytes_t){bytes, 1}), MP_EPROTO);
    mpx_fifo_reserve(fifo, one, 1, 10);
    expect(fifo, 0, MPX_FIFO_GRANT, &a);
    ck_assert_int_eq(mpx_fifo_put(fifo, one, 0, (mp_bytes_t){bytes, 11}), MP_EPROTO);
    ck_assert_int_eq(mpx_fifo_put(fifo, one, 0, (mp_bytes_t){bytes, 10}), MP_OK);
    ck_assert_int_eq(mpx_fifo_put(fifo, one, 0, (mp_bytes_t){bytes, 1}), MP_EPROTO);
    mpx_fifo_destroy(&fifo);
}
END_TEST

START_TEST(places_are_granted_once_and_given_up)
{
    mpx_fifo_t *fifo = make(1, 1000);
    int a, b;
    mpx_visitor_t *one = mpx_fifo_come(fifo, &a);
    mpx_visitor_t *two = mpx_fifo_come(fifo, &b);
    mpx_fifo_reserve(fifo, one, 7, 8);
    mpx_fifo_reserve(fifo, two, 8, 8);
    ck_assert_uint_eq(expect(fifo, 0, MPX_FIFO_GRANT, &a).nonce, 7);
    expect_nothing(fifo, 0);
    mpx_fifo_withdraw_place(fifo, one, true);
    ck_assert_uint_eq(expect(fifo, 0, MPX_FIFO_GRANT, &b).nonce, 8);
    put(fifo, two, 5);
    ck_assert_uint_eq(counts(fifo).queued, 1);
    ck_assert_uint_eq(counts(fifo).reserved, 0);
    mpx_fifo_reserve(fifo, one, 9, 8);
    mpx_fifo_go(fifo, one); /* with its wish */
    mpx_fifo_drop(fifo, mpx_fifo_pop(fifo));
    ck_assert_uint_eq(expect(fifo, 0, MPX_FIFO_ADMITTED, &b).count, 1);
    expect_nothing(fifo, 0);
    ck_assert_uint_eq(counts(fifo).reserved, 0);
    mpx_fifo_destroy(&fifo);
}
END_TEST

START_TEST(what_a_dead_consumer_had_goes_back_in_order)
{
    mpx_fifo_t *fifo = make(0, 1000);
    int a, b, c;
    mpx_visitor_t *maker = mpx_fifo_come(fifo, &a);
    mpx_visitor_t *dies = mpx_fifo_come(fifo, &b);
    mpx_visitor_t *lives = mpx_fifo_come(fifo, &c);
    for (uint64_t i = 0; i < 3; i++)
        put(fifo, maker, i);
    expect(fifo, 0, MPX_FIFO_ADMITTED, &a);
    for (uint64_t i = 1; i <= 2; i++) {
        mpx_fifo_take(fifo, dies, i, 1, 0);
        mpx_fifo_effect_t effect = expect(fifo, 0, MPX_FIFO_GIVE, &b);
        ck_assert_uint_eq(effect.items->number, i);
        ck_assert_uint_eq(value_of(effect.items), i - 1);
    }
    ck_assert_uint_eq(mpx_fifo_settle(fifo, dies, 1, 1), 1);
    ck_assert_uint_eq(mpx_fifo_settle(fifo, dies, 1, 1), 0); /* twice is once */
    mpx_fifo_go(fifo, dies);
    static const bool again[] = {true, false};
    for (uint64_t i = 0; i < 2; i++) {
        mpx_fifo_take(fifo, lives, i, 10, 0);
        mpx_fifo_effect_t effect = expect(fifo, 0, MPX_FIFO_GIVE, &c);
        ck_assert_uint_eq(effect.count, 1);
        ck_assert_uint_eq(value_of(effect.items), i + 1);
        ck_assert(effect.items->again == again[i]);
    }
    ck_assert_uint_eq(counts(fifo).again, 1);
    mpx_fifo_destroy(&fifo);
}
END_TEST

/* Quick ones get more at once, slow ones one at a time; never more than half of a fair share. */
START_TEST(batches_follow_the_pace)
{
    mpx_fifo_t *fifo = make(0, 1 << 20);
    int a, b;
    mpx_visitor_t *maker = mpx_fifo_come(fifo, &a);
    mpx_visitor_t *taker = mpx_fifo_come(fifo, &b);
    for (uint64_t i = 0; i < 2000; i++)
        put(fifo, maker, i);
    expect(fifo, 0, MPX_FIFO_ADMITTED, &a);
    static const size_t quick[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 256};
    int64_t now = 0;
    uint64_t settled = 1;
    for (size_t i = 0; i < 10; i++) {
        mpx_fifo_take(fifo, taker, i, 10000, now);
        size_t count = expect(fifo, now, MPX_FIFO_GIVE, &b).count;
        ck_assert_uint_eq(count, quick[i]);
        ck_assert_uint_eq(mpx_fifo_settle(fifo, taker, settled, count), count);
        settled += count;
        now += 1000;
    }
    now += 600000000; /* 256 items took 0.6 s */
    mpx_fifo_take(fifo, taker, 99, 10000, now);
    ck_assert_uint_eq(expect(fifo, now, MPX_FIFO_GIVE, &b).count, 1);
    mpx_fifo_destroy(&fifo);
}
END_TEST

START_TEST(a_withdrawn_take_leaves_no_trace)
{
    mpx_fifo_t *fifo = make(0, 1000);
    int a, b;
    mpx_visitor_t *maker = mpx_fifo_come(fifo, &a);
    mpx_visitor_t *taker = mpx_fifo_come(fifo, &b);
    mpx_fifo_take(fifo, taker, 1, 5, 0);
    put(fifo, maker, 11);
    expect(fifo, 0, MPX_FIFO_GIVE, &b);
    mpx_fifo_withdraw_take(fifo, taker, 1); /* it didn't see number 1 */
    ck_assert_uint_eq(counts(fifo).queued, 1);
    ck_assert_uint_eq(counts(fifo).again, 0);
    mpx_fifo_take(fifo, taker, 2, 5, 0);
    mpx_fifo_effect_t effect = expect(fifo, 0, MPX_FIFO_GIVE, &b);
    ck_assert_uint_eq(effect.items->number, 1);
    ck_assert(!effect.items->again);
    mpx_fifo_destroy(&fifo);
}
END_TEST

/* Given to one that had just given up; meanwhile a later one went to somebody else. */
START_TEST(a_withdrawn_item_that_was_overtaken_says_so)
{
    mpx_fifo_t *fifo = make(0, 1000);
    int a, b, c;
    mpx_visitor_t *maker = mpx_fifo_come(fifo, &a);
    mpx_visitor_t *taker = mpx_fifo_come(fifo, &b);
    mpx_visitor_t *other = mpx_fifo_come(fifo, &c);
    put(fifo, maker, 11);
    put(fifo, maker, 12);
    expect(fifo, 0, MPX_FIFO_ADMITTED, &a);
    mpx_fifo_take(fifo, taker, 1, 1, 0);
    expect(fifo, 0, MPX_FIFO_GIVE, &b);
    mpx_fifo_take(fifo, other, 1, 1, 0);
    ck_assert_uint_eq(value_of(expect(fifo, 0, MPX_FIFO_GIVE, &c).items), 12);
    mpx_fifo_withdraw_take(fifo, taker, 1);
    mpx_fifo_take(fifo, other, 2, 1, 0);
    mpx_fifo_effect_t effect = expect(fifo, 0, MPX_FIFO_GIVE, &c);
    ck_assert_uint_eq(value_of(effect.items), 11);
    ck_assert(effect.items->again);
    ck_assert_uint_eq(counts(fifo).again, 1);
    mpx_fifo_destroy(&fifo);
}
END_TEST

START_TEST(watchers_and_joiners_are_told_once)
{
    mpx_fifo_t *fifo = NULL;
    mpx_fifo_options_t options = {.max_bytes = 1000, .joinable = true};
    ck_assert_int_eq(mpx_fifo_new(&options, &fifo), MP_OK);
    int a;
    mpx_visitor_t *one = mpx_fifo_come(fifo, &a);
    mpx_fifo_watch(fifo, one);
    expect_nothing(fifo, 0);
    ck_assert_int_eq(mpx_fifo_offer(fifo, 0, (mp_bytes_t){"x", 1}), MP_OK);
    mpx_fifo_await(fifo, one, 3);
    expect(fifo, 0, MPX_FIFO_READY, &a);
    expect_nothing(fifo, 0);
    mpx_fifo_item_t *item = mpx_fifo_pop(fifo);
    expect_nothing(fifo, 0); /* taken isn't finished */
    ck_assert_uint_eq(counts(fifo).given, 1);
    mpx_fifo_drop(fifo, item);
    ck_assert_uint_eq(expect(fifo, 0, MPX_FIFO_JOINED, &a).nonce, 3);
    expect_nothing(fifo, 0);
    mpx_fifo_destroy(&fifo);
}
END_TEST

/* ---- simulation ---------------------------------------------------------------------------------
 */

/* A visitor as itself sees it: what it put, and what it has in hand. */
typedef struct actor {
    mpx_visitor_t *visitor;
    uint64_t name; /* of this life, in the high half of its values */
    uint64_t put;
    uint64_t admitted;
    bool taking;
    uint64_t hand[KEPT];  /* values by number */
    uint64_t first, next; /* numbers not settled */
} actor_t;

typedef struct world {
    mpx_fifo_t *fifo;
    actor_t actors[VISITORS];
    unsigned seed;
    uint64_t lives;
    uint64_t settled;
    uint64_t admitted;
    uint64_t last_seen[1024]; /* by life: order, of those seen for the first time */
    int64_t now;
} world_t;

static void begin_life(world_t *self, actor_t *actor)
{
    memset(actor, 0, sizeof *actor);
    actor->name = ++self->lives;
    actor->first = actor->next = 1;
    actor->visitor = mpx_fifo_come(self->fifo, actor);
    ck_assert_ptr_nonnull(actor->visitor);
}

/* First deliveries of one producer come in its order; redelivered ones were seen before. */
static void see(world_t *self, const mpx_fifo_item_t *item)
{
    uint64_t value = value_of(item);
    uint64_t *last = &self->last_seen[value >> 32];
    uint64_t number = (value & UINT32_MAX) + 1;
    if (item->again)
        ck_assert_uint_le(number, *last);
    else
        ck_assert_uint_eq(number, *last + 1);
    if (number > *last)
        *last = number;
}

static void act_on(world_t *self, const mpx_fifo_effect_t *effect)
{
    actor_t *actor = effect->tag;
    if (effect->kind == MPX_FIFO_ADMITTED) {
        actor->admitted += effect->count;
        self->admitted += effect->count;
        ck_assert_uint_le(actor->admitted, actor->put);
    }
    if (effect->kind != MPX_FIFO_GIVE)
        return;
    ck_assert(actor->taking);
    actor->taking = false;
    const mpx_fifo_item_t *item = effect->items;
    for (size_t i = 0; i < effect->count; i++, item = item->next) {
        ck_assert_uint_eq(item->number, actor->next);
        see(self, item);
        actor->hand[actor->next++ % KEPT] = value_of(item);
    }
}

static void settle_some(world_t *self, actor_t *actor)
{
    uint64_t had = actor->next - actor->first;
    uint64_t count = had ? 1 + (unsigned)rand_r(&self->seed) % had : 0;
    ck_assert_uint_eq(mpx_fifo_settle(self->fifo, actor->visitor, actor->first, count), count);
    actor->first += count;
    self->settled += count;
}

static void step(world_t *self)
{
    actor_t *actor = &self->actors[(unsigned)rand_r(&self->seed) % VISITORS];
    unsigned dice = (unsigned)rand_r(&self->seed) % 100;
    self->now += rand_r(&self->seed) % 100000;
    if (dice < 40) {
        put(self->fifo, actor->visitor, actor->name << 32 | actor->put++);
    } else if (dice < 70 && !actor->taking && actor->next - actor->first < 1000) {
        mpx_fifo_take(self->fifo, actor->visitor, dice, 1 + dice, self->now);
        actor->taking = true;
    } else if (dice < 90) {
        settle_some(self, actor);
    } else if (dice < 94 && actor->taking) {
        mpx_fifo_withdraw_take(self->fifo, actor->visitor, actor->next);
        actor->taking = false;
    } else if (dice < 97) {
        mpx_fifo_go(self->fifo, actor->visitor);
        begin_life(self, actor);
    } else {
        (void)mpx_fifo_return(self->fifo, actor->visitor, actor->first, actor->next - actor->first);
        actor->first = actor->next;
    }
    mpx_fifo_effect_t effect;
    while (mpx_fifo_next(self->fifo, self->now, &effect))
        act_on(self, &effect);
    ck_assert(mpx_fifo_is_sound(self->fifo));
}

/* Each admitted item is settled once, or still there: nothing is lost, nothing doubled. */
static void live_through(unsigned seed)
{
    world_t *self = calloc(1, sizeof *self);
    self->seed = seed;
    self->fifo = make(seed % 3 ? (size_t)(seed % 50) : 0, 20000 + 8 * (size_t)seed);
    for (int i = 0; i < VISITORS; i++)
        begin_life(self, &self->actors[i]);
    for (int i = 0; i < STEPS; i++)
        step(self);
    mpx_fifo_counts_t end = counts(self->fifo);
    ck_assert_uint_eq(end.put, self->settled + end.queued + end.given);
    ck_assert_uint_eq(end.got, self->settled);
    for (int i = 0; i < VISITORS; i++)
        mpx_fifo_go(self->fifo, self->actors[i].visitor);
    end = counts(self->fifo);
    ck_assert_uint_eq(end.put, self->settled + end.queued);
    ck_assert_uint_eq(end.given + end.parked + end.reserved + end.visitors, 0);
    mpx_fifo_destroy(&self->fifo);
    free(self);
}

/* A hundred seeds for each process: a fork costs more than a life where a sanitizer watches. */
enum { BLOCKS = 20, SEEDS_PER_BLOCK = 100 };

START_TEST(nothing_is_lost_whoever_dies)
{
    for (unsigned i = 0; i < SEEDS_PER_BLOCK; i++)
        live_through((unsigned)_i * SEEDS_PER_BLOCK + i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fifo");
    TCase *rules = tcase_create("rules");
    tcase_add_test(rules, a_full_queue_parks_and_admits_in_turn);
    tcase_add_test(rules, bytes_bound_as_well_as_items);
    tcase_add_test(rules, nothing_is_put_beyond_a_window_or_without_a_place);
    tcase_add_test(rules, places_are_granted_once_and_given_up);
    tcase_add_test(rules, what_a_dead_consumer_had_goes_back_in_order);
    tcase_add_test(rules, batches_follow_the_pace);
    tcase_add_test(rules, a_withdrawn_take_leaves_no_trace);
    tcase_add_test(rules, a_withdrawn_item_that_was_overtaken_says_so);
    tcase_add_test(rules, watchers_and_joiners_are_told_once);
    suite_add_tcase(suite, rules);
    TCase *seeds = tcase_create("seeds");
    tcase_set_timeout(seeds, 20);
    tcase_add_loop_test(seeds, nothing_is_lost_whoever_dies, 0, BLOCKS);
    suite_add_tcase(suite, seeds);
    return suite_end(suite);
}
