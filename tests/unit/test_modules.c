/* test_modules: a worker's modules, with a broker and executors that only note what they are told.
 */
#include "clock.h"
#include "modules.h"
#include "suite.h"
#include "warehouse.h"

#include <fcntl.h>
#include <glob.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct world {
    mpx_modules_t *modules;
    mpx_header_t said; /* the last one */
    int said_count;
    char words[256];
    char loading[4096];
    int stops;
} world_t;

static char store[64];
static unsigned char content[300000]; /* of a module: the head of this program, and any bytes */

static void make_content(void)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    ck_assert_int_gt(read(fd, content, 4096), 1000);
    close(fd);
    strcpy(store, "/tmp/mp-modules-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(store));
}

static size_t files(void)
{
    char pattern[80];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%s/*", store);
    size_t count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

static void clear(world_t *world)
{
    char command[80];
    mpx_modules_destroy(&world->modules);
    snprintf(command, sizeof command, "rm -rf %s", store);
    ck_assert_int_eq(system(command), 0);
}

static mp_rc_t note_said(void *arg, const mpx_header_t *header, mp_bytes_t payload)
{
    world_t *world = arg;
    mpx_problem_t problem;
    void *arena = NULL;
    world->said = *header;
    world->said_count++;
    world->words[0] = '\0';
    if (payload.size && mpx_problem_unpack(payload, &problem, &arena) == MP_OK)
        snprintf(world->words, sizeof world->words, "%s", problem.message);
    free(arena);
    return MP_OK;
}

static mp_rc_t note_load(void *arg, const char *path)
{
    snprintf(((world_t *)arg)->loading, sizeof((world_t *)arg)->loading, "%s", path);
    return MP_OK;
}

static void note_stop(void *arg)
{
    ((world_t *)arg)->stops++;
}

static void open_modules(world_t *world, uint64_t max_bytes)
{
    mpx_modules_options_t options = {.dir = store,
                                     .max_bytes = max_bytes,
                                     .self = world,
                                     .send = note_said,
                                     .load = note_load,
                                     .stop_loading = note_stop};
    ck_assert_int_eq(mpx_modules_new(&options, &world->modules), MP_OK);
}

static void announce(world_t *world, uint64_t nonce, uint64_t bytes, bool rightly)
{
    mpx_ship_t ship = {.name = "m.so"};
    mpx_buf_t body = {0};
    mpx_header_t header = {.op = MPX_OP_SHIP, .nonce = nonce, .bytes = bytes};
    crypto_hash_sha256(ship.hash, content, bytes < sizeof content ? bytes : sizeof content);
    ship.hash[0] ^= !rightly;
    ck_assert_int_eq(mpx_ship_pack(&body, &ship), MP_OK);
    ck_assert_int_eq(mpx_modules_message(world->modules, 0, &header, mpx_buf_bytes(&body)), MP_OK);
    mpx_buf_free(&body);
}

/* Answer the FETCH. */
static void give(world_t *world)
{
    ck_assert_int_eq(world->said.op, MPX_OP_FETCH);
    ck_assert_uint_le(world->said.bytes, MPX_PIECE_BYTES);
    mpx_header_t header = {
        .op = MPX_OP_PIECE, .nonce = world->said.nonce, .first = world->said.first};
    mp_bytes_t piece = {content + world->said.first, world->said.bytes};
    ck_assert_int_eq(mpx_modules_message(world->modules, 0, &header, piece), MP_OK);
}

static void expect_answer(const world_t *world, uint64_t nonce, mp_rc_t rc, const char *words)
{
    ck_assert_int_eq(world->said.op, MPX_OP_SHIPPED);
    ck_assert_uint_eq(world->said.nonce, nonce);
    ck_assert_int_eq(world->said.code, rc);
    ck_assert_msg(strstr(world->words, words) != NULL, "'%s'", world->words);
}

START_TEST(a_module_is_fetched_and_loaded_once)
{
    world_t world = {0};
    make_content();
    open_modules(&world, 1 << 20);
    announce(&world, 7, sizeof content, true);
    give(&world);
    ck_assert_uint_eq(world.said.first, MPX_PIECE_BYTES);
    give(&world);
    ck_assert_ptr_nonnull(strstr(world.loading, ".so"));
    announce(&world, 8, sizeof content, true); /* waits for its turn */
    mpx_modules_loaded(world.modules, 0, MP_OK, "");
    expect_answer(&world, 8, MP_OK, "");
    ck_assert_int_eq(world.said_count, 4); /* two pieces, two answers */
    mpx_modules_destroy(&world.modules);
    world.loading[0] = '\0';
    open_modules(&world, 1 << 20); /* another day: it is there, but not loaded */
    announce(&world, 9, sizeof content, true);
    ck_assert_ptr_nonnull(strstr(world.loading, ".so"));
    mpx_modules_loaded(world.modules, 0, MP_EEXIST, "taken");
    expect_answer(&world, 9, MP_EEXIST, "taken");
    ck_assert_uint_eq(files(), 0);
    clear(&world);
}
END_TEST

START_TEST(what_is_not_what_was_announced_is_refused)
{
    world_t world = {0};
    make_content();
    open_modules(&world, 1 << 20);
    announce(&world, 1, 5000, false);
    give(&world);
    expect_answer(&world, 1, MP_EMODULE, "its hash differs");
    announce(&world, 2, (1 << 20) + 1, true);
    expect_answer(&world, 2, MP_ETOOLARGE, "--module-bytes");
    content[0] = 'x';
    announce(&world, 3, 5000, true);
    give(&world);
    expect_answer(&world, 3, MP_EMODULE, "no shared object");
    ck_assert_str_eq(world.loading, "");
    ck_assert_uint_eq(files(), 0);
    mpx_header_t no_hash = {.op = MPX_OP_SHIP, .nonce = 4, .bytes = 1};
    ck_assert_int_eq(mpx_modules_message(world.modules, 0, &no_hash, (mp_bytes_t){"x", 1}),
                     MP_EPROTO);
    clear(&world);
}
END_TEST

START_TEST(pieces_that_are_wrong_do_no_harm)
{
    world_t world = {0};
    make_content();
    open_modules(&world, 1 << 20);
    announce(&world, 1, sizeof content, true);
    mpx_header_t stale = {.op = MPX_OP_PIECE, .nonce = 2, .first = 0};
    ck_assert_int_eq(mpx_modules_message(world.modules, 0, &stale, (mp_bytes_t){"xx", 2}), MP_OK);
    stale.nonce = 1;
    stale.first = 5;
    ck_assert_int_eq(mpx_modules_message(world.modules, 0, &stale, (mp_bytes_t){"xx", 2}), MP_OK);
    ck_assert_int_eq(world.said_count, 1); /* it still waits for the first one */
    stale.first = 0;
    stale.code = MP_EMODULE;
    ck_assert_int_eq(mpx_modules_message(world.modules, 0, &stale, (mp_bytes_t){0}), MP_OK);
    expect_answer(&world, 1, MP_EMODULE, "can't read");
    ck_assert_uint_eq(files(), 0);
    clear(&world);
}
END_TEST

START_TEST(a_client_or_a_broker_that_goes_is_forgotten)
{
    world_t world = {0};
    make_content();
    open_modules(&world, 1 << 20);
    announce(&world, 1, sizeof content, true);
    announce(&world, 2, 5000, true);
    give(&world);
    ck_assert_uint_eq(files(), 1);
    mpx_header_t gone = {.op = MPX_OP_SHIPPED, .nonce = 1, .code = MP_ECANCELLED};
    ck_assert_int_eq(mpx_modules_message(world.modules, 0, &gone, (mp_bytes_t){0}), MP_OK);
    ck_assert_int_eq(world.said.op, MPX_OP_FETCH); /* the second one's turn */
    ck_assert_uint_eq(world.said.nonce, 2);
    mpx_modules_lost(world.modules);
    ck_assert_uint_eq(files(), 0);
    announce(&world, 3, 5000, true);
    give(&world);
    ck_assert_uint_ne(mpx_modules_deadline(world.modules), MPX_NEVER);
    mpx_modules_lost(world.modules); /* it is being loaded, and is not to be answered */
    int said = world.said_count;
    mpx_modules_loaded(world.modules, 0, MP_OK, "");
    ck_assert_int_eq(world.said_count, said);
    ck_assert_uint_eq(files(), 1);
    clear(&world);
}
END_TEST

START_TEST(one_that_does_not_come_up_is_given_up)
{
    world_t world = {0};
    make_content();
    open_modules(&world, 1 << 20);
    announce(&world, 1, 5000, true);
    give(&world);
    int64_t until = mpx_modules_deadline(world.modules);
    mpx_modules_tick(world.modules, until - 1);
    ck_assert_int_eq(world.stops, 0);
    mpx_modules_tick(world.modules, until);
    mpx_modules_tick(world.modules, until + 1);
    ck_assert_int_eq(world.stops, 1);
    clear(&world);
}
END_TEST

START_TEST(the_directory_is_private_bounded_and_tidied)
{
    world_t world = {0};
    mpx_warehouse_t *warehouse = NULL;
    uint8_t hash[MPX_HASH_BYTES] = {1};
    char path[256];
    make_content();
    chmod(store, 0755);
    ck_assert_int_eq(mpx_warehouse_open(store, 1000, &warehouse), MP_EINVAL);
    chmod(store, 0700);
    snprintf(path, sizeof path, "%s/00.%d.part", store, 0x7ffffff0); /* nobody is that */
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(path, sizeof path, "%s/00.%d.part", store, (int)getpid());
    close(open(path, O_CREAT | O_WRONLY, 0600));
    ck_assert_int_eq(mpx_warehouse_open(store, 1000, &warehouse), MP_OK);
    ck_assert_uint_eq(files(), 1);
    ck_assert_int_eq(mpx_warehouse_begin(warehouse, hash, 1001), MP_ENOSPACE);
    ck_assert_int_eq(mpx_warehouse_begin(warehouse, hash, 1000), MP_OK);
    mpx_warehouse_close(&warehouse);
    ck_assert_uint_eq(files(), 1); /* what was coming in is gone */
    ck_assert_int_eq(mpx_warehouse_open("/nowhere/at/all", 1000, &warehouse), MP_EINVAL);
    clear(&world);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_module_is_fetched_and_loaded_once,
        what_is_not_what_was_announced_is_refused,
        pieces_that_are_wrong_do_no_harm,
        a_client_or_a_broker_that_goes_is_forgotten,
        one_that_does_not_come_up_is_given_up,
        the_directory_is_private_bounded_and_tidied,
        NULL,
    };
    return suite_run("modules", tests, 30);
}
