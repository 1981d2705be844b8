/* test_keep_kill: a broker with a data directory is killed at random moments, ROUNDS times (15),
 * while processes go on using its objects across the restarts. Each notes in shared memory what was
 * acknowledged, and what may have been done or not. What is in the broker must agree: after every
 * other restart while all pause, and at the end.
 * Environment: ROUNDS, SEED, MP_BROKER_BIN. */
#include "keep_broker.h"

#include <mp/mp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum {
    LONG_MS = 20000,
    KEYS = 16,
    SEQ_MAX = 1 << 22, /* of list items and queue items */
    LIST_MAX = 60,
    LIST_CUT = 40,
    QUEUE_MAX = 200,
    MONEY = 1000,
    MAYFLIES = 64,
    SHORT_MS = 40
};

typedef enum fate { NEVER, MAYBE, DONE } fate_t;

/* A number that was being set, or was. */
typedef struct mark {
    atomic_long tried;
    atomic_long done;
} mark_t;

typedef struct board {
    atomic_bool pause, over, failed;
    atomic_int begun, paused;
    atomic_ulong done, unknown, refused; /* calls */
    mark_t keys[KEYS];
    atomic_char appended[SEQ_MAX];
    mark_t cut; /* list items before it are gone */
    atomic_long next_append;
    atomic_char put[SEQ_MAX], finished[SEQ_MAX];
    atomic_long next_put;
    mark_t counter; /* tried: how many may have been added */
    mark_t moves;
    mark_t made, deleted; /* generation of the phoenix */
    struct {
        mark_t value;
        atomic_bool is_short; /* or may be */
        atomic_long until_ms; /* at the latest it is gone then */
    } mayflies[MAYFLIES];
    atomic_ulong token;
} board_t;

static board_t *board;
static keep_t keep;

/* ---- what a call has come to
 * ------------------------------------------------------------------------------------ */

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "FAIL: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    atomic_store(&board->failed, true);
}

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition))                                                                          \
            wrong(__VA_ARGS__);                                                                    \
    } while (0)

/* Also what can't be is MAYBE, and fails the test. */
static fate_t fate_of(mp_rc_t rc, const char *what)
{
    if (rc == MP_OK) {
        atomic_fetch_add(&board->done, 1);
        return DONE;
    }
    if (rc == MP_ECONNECT || rc == MP_ELEASE) {
        atomic_fetch_add(&board->refused, 1);
        return NEVER;
    }
    atomic_fetch_add(&board->unknown, 1);
    MUST(rc == MP_EPEERLOST, "%s: %s (%s)", what, mp_errname(rc), mp_errmsg());
    return MAYBE;
}

static mp_manager_t *connect_to(void)
{
    mp_manager_t *manager = NULL;
    mp_rc_t rc = mp_manager_connect(keep.address, NULL, 0, LONG_MS, &manager);
    MUST(rc == MP_OK, "connect: %s (%s)", mp_errname(rc), mp_errmsg());
    if (rc != MP_OK)
        _exit(1);
    return manager;
}

static mp_object_t *object_of(mp_manager_t *manager, mp_object_type_t type, const char *name)
{
    mp_object_t *object = NULL;
    mp_object_options_t options = {.name = name,
                                   .max_items = type == MP_OBJECT_JOINABLE_QUEUE ? QUEUE_MAX : 0};
    if (type == MP_OBJECT_VALUE)
        options.initial = MP_V(0);
    mp_rc_t rc = mp_manager_object(manager, type, &options, &object);
    MUST(rc == MP_OK, "opening %s: %s (%s)", name, mp_errname(rc), mp_errmsg());
    if (rc != MP_OK)
        _exit(1);
    return object;
}

/* Between two calls. false: it is over. */
static bool goes_on(void)
{
    static bool has_begun;
    if (!has_begun)
        atomic_fetch_add(&board->begun, 1);
    has_begun = true;
    if (atomic_load(&board->pause)) {
        atomic_fetch_add(&board->paused, 1);
        while (atomic_load(&board->pause) && !atomic_load(&board->over))
            keep_sleep_us(500);
        atomic_fetch_sub(&board->paused, 1);
    }
    return !atomic_load(&board->over) && !atomic_load(&board->failed);
}

static int64_t int_of(mp_tree_t *tree)
{
    int64_t number = mp_tree_int_or(tree, -1);
    mp_tree_destroy(&tree);
    return number;
}

/* ---- those who write
 * -------------------------------------------------------------------------------------------- */

static void set_keys(mp_manager_t *manager)
{
    mp_object_t *dict = object_of(manager, MP_OBJECT_DICT, "dict");
    for (long i = 1; goes_on(); i++) {
        mark_t *key = &board->keys[i % KEYS];
        atomic_store(&key->tried, i);
        if (fate_of(mp_dict_set(dict, MP_K(i % KEYS), MP_V(i), LONG_MS), "set") == DONE)
            atomic_store(&key->done, i);
    }
    mp_object_destroy(&dict);
}

/* Cut off the head, where that isn't known to have been done already. */
static void cut(mp_object_t *list)
{
    mp_tree_t *out = NULL;
    if (fate_of(mp_list_get(list, LIST_CUT, &out, LONG_MS), "list get") != DONE)
        return;
    long to = (long)int_of(out);
    atomic_store(&board->cut.tried, to);
    fate_t fate = fate_of(mp_list_del_slice(list, 0, LIST_CUT, 1, LONG_MS), "del_slice");
    while (fate == MAYBE && goes_on())
        if (fate_of(mp_list_get(list, 0, &out, LONG_MS), "list get 0") == DONE)
            fate = int_of(out) >= to ? DONE : NEVER;
    if (fate == DONE)
        atomic_store(&board->cut.done, to);
}

static void append(mp_manager_t *manager)
{
    mp_object_t *list = object_of(manager, MP_OBJECT_LIST, "list");
    size_t len = 0;
    for (long i = 0; i < SEQ_MAX && goes_on(); i++) {
        atomic_store(&board->appended[i], MAYBE);
        atomic_store(&board->next_append, i + 1);
        fate_t fate = fate_of(mp_list_append(list, MP_V(i), LONG_MS), "append");
        atomic_store(&board->appended[i], (char)fate);
        if (i % 20 == 19 && fate_of(mp_list_len(list, &len, LONG_MS), "len") == DONE &&
            len > LIST_MAX)
            cut(list);
    }
    mp_object_destroy(&list);
}

static void put(mp_manager_t *manager)
{
    mp_object_t *queue = object_of(manager, MP_OBJECT_JOINABLE_QUEUE, "queue");
    for (long i = 0; i < SEQ_MAX && goes_on();) {
        atomic_store(&board->put[i], MAYBE);
        atomic_store(&board->next_put, i + 1);
        mp_rc_t rc = mp_managed_queue_put(queue, MP_V(i), 50);
        if (rc == MP_EFULL)
            continue;
        atomic_store(&board->put[i], (char)fate_of(rc, "put"));
        i++;
    }
    mp_object_destroy(&queue);
}

static void finish(mp_object_t *queue, long item)
{
    MUST(item >= 0 && item < SEQ_MAX && board->put[item] != NEVER, "item %ld wasn't put", item);
    MUST(board->finished[item] != DONE, "item %ld was finished, and is got again", item);
    atomic_store(&board->finished[item], MAYBE);
    mp_rc_t rc = mp_managed_queue_task_done(queue, LONG_MS);
    /* After a restart nobody has it. */
    fate_t fate = rc == MP_ESTATE ? NEVER : fate_of(rc, "task_done");
    atomic_store(&board->finished[item], (char)fate);
}

static void get(mp_manager_t *manager)
{
    mp_object_t *queue = object_of(manager, MP_OBJECT_JOINABLE_QUEUE, "queue");
    mp_tree_t *out = NULL;
    while (goes_on()) {
        mp_rc_t rc = mp_managed_queue_get(queue, &out, 50);
        if (rc != MP_EEMPTY && fate_of(rc, "get") == DONE)
            finish(queue, (long)int_of(out));
    }
    mp_object_destroy(&queue);
}

static void add(mp_manager_t *manager)
{
    mp_object_t *value = object_of(manager, MP_OBJECT_VALUE, "value");
    int64_t result = 0;
    while (goes_on()) {
        atomic_fetch_add(&board->counter.tried, 1);
        fate_t fate = fate_of(mp_managed_value_add(value, 1, &result, LONG_MS), "add");
        if (fate == NEVER)
            atomic_fetch_sub(&board->counter.tried, 1);
        if (fate != DONE)
            continue;
        long done = atomic_fetch_add(&board->counter.done, 1) + 1;
        MUST(result >= done && result <= board->counter.tried, "%lld is added up, not %ld to %ld",
             (long long)result, done, (long)board->counter.tried);
    }
    mp_object_destroy(&value);
}

static void move(mp_manager_t *manager)
{
    mp_pipeline_t *pipeline = NULL;
    mp_rc_t rc = mp_pipeline_new(manager, &(mp_pipeline_options_t){.atomic = true}, &pipeline);
    MUST(rc == MP_OK, "pipeline: %s", mp_errname(rc));
    mp_object_t *one = object_of(manager, MP_OBJECT_DICT, "account1");
    mp_object_t *two = object_of(manager, MP_OBJECT_DICT, "account2");
    mp_object_t *from = mp_pipeline_object(pipeline, one), *to = mp_pipeline_object(pipeline, two);
    for (long i = 0; goes_on(); i++) {
        int64_t sum = i % 7 - 3;
        atomic_fetch_add(&board->moves.tried, 1);
        rc = mp_dict_add(from, MP_K("money"), -sum, NULL, 0);
        if (rc == MP_OK)
            rc = mp_dict_add(to, MP_K("money"), sum, NULL, 0);
        if (rc == MP_OK)
            rc = mp_dict_add(to, MP_K("moves"), 1, NULL, 0);
        MUST(rc == MP_OK, "noting: %s", mp_errname(rc));
        fate_t fate = fate_of(mp_pipeline_run(pipeline, LONG_MS), "run");
        if (fate == NEVER)
            atomic_fetch_sub(&board->moves.tried, 1);
        if (fate == DONE)
            atomic_fetch_add(&board->moves.done, 1);
    }
    mp_pipeline_destroy(&pipeline);
    mp_object_destroy(&one);
    mp_object_destroy(&two);
}

/* Make the next generation; one whose making wasn't known about is there already. */
static mp_object_t *make_phoenix(mp_manager_t *manager, long generation)
{
    mp_object_t *dict = NULL;
    mp_tree_t *out = NULL;
    atomic_store(&board->made.tried, generation);
    while (goes_on()) {
        mp_object_options_t options = {.name = "phoenix", .only_new = true};
        options.initial = MP_DICT({"generation", MP_V(generation)}, {"more", MP_V("of it")});
        mp_rc_t rc = mp_manager_object(manager, MP_OBJECT_DICT, &options, &dict);
        if (rc == MP_EEXIST) {
            options = (mp_object_options_t){.name = "phoenix", .only_open = true};
            rc = mp_manager_object(manager, MP_OBJECT_DICT, &options, &dict);
        }
        if (fate_of(rc, "making") != DONE)
            continue;
        while (goes_on() && (rc = mp_dict_get(dict, MP_K("generation"), &out, LONG_MS)) != MP_OK)
            (void)fate_of(rc, "reading a generation");
        if (!out)
            break;
        int64_t got = int_of(out);
        MUST(got == generation, "generation %lld, not %ld", (long long)got, generation);
        atomic_store(&board->made.done, generation);
        return dict;
    }
    mp_object_destroy(&dict);
    return NULL;
}

static void rise(mp_manager_t *manager)
{
    for (long generation = 1; goes_on(); generation++) {
        mp_object_t *dict = make_phoenix(manager, generation);
        if (!dict)
            return;
        atomic_store(&board->deleted.tried, generation);
        mp_rc_t rc = MP_EPEERLOST;
        while (goes_on() && rc != MP_OK && rc != MP_ENOTFOUND) {
            rc = mp_object_delete(dict, LONG_MS);
            if (rc != MP_ENOTFOUND)
                (void)fate_of(rc, "delete");
        }
        if (rc == MP_OK || rc == MP_ENOTFOUND)
            atomic_store(&board->deleted.done, generation);
        mp_object_destroy(&dict);
    }
}

/* Keys of which every other one expires soon. */
static void live_shortly(mp_manager_t *manager)
{
    mp_object_t *dict = object_of(manager, MP_OBJECT_DICT, "mayflies");
    for (long i = 1; goes_on(); i++) {
        long key = i % MAYFLIES;
        mark_t *value = &board->mayflies[key].value;
        bool is_short = i / MAYFLIES % 2;
        atomic_store(&value->tried, i);
        fate_t fate = fate_of(mp_dict_set(dict, MP_K(key), MP_V(i), LONG_MS), "set a key");
        if (fate != DONE)
            continue;
        atomic_store(&value->done, i);
        atomic_store(&board->mayflies[key].is_short, is_short);
        atomic_store(&board->mayflies[key].until_ms, 0);
        fate = fate_of(mp_dict_expire(dict, MP_K(key), is_short ? SHORT_MS : 3600000, LONG_MS),
                       "expire");
        if (fate == DONE && is_short)
            atomic_store(&board->mayflies[key].until_ms, keep_now_ms() + SHORT_MS);
    }
    mp_object_destroy(&dict);
}

static void lock(mp_manager_t *manager)
{
    mp_object_t *lock = object_of(manager, MP_OBJECT_LOCK, "lock");
    while (goes_on()) {
        uint64_t token = 0, before = atomic_load(&board->token);
        mp_rc_t rc = mp_managed_lock_acquire(lock, &token, LONG_MS);
        if (rc != MP_EOWNERDEAD && fate_of(rc, "acquire") != DONE)
            continue;
        MUST(token > before, "token %llu is not over %llu", (unsigned long long)token,
             (unsigned long long)before);
        uint64_t now = atomic_load(&board->token);
        while (now < token && !atomic_compare_exchange_weak(&board->token, &now, token))
            ;
        rc = mp_managed_lock_release(lock, LONG_MS);
        if (rc != MP_ENOTOWNER)
            (void)fate_of(rc, "release");
    }
    mp_object_destroy(&lock);
}

/* ---- what there must be
 * ----------------------------------------------------------------------------------------- */

static void is_between(const char *what, int64_t number, const mark_t *mark)
{
    MUST(number >= mark->done && number <= mark->tried, "%s: %lld, not %ld to %ld", what,
         (long long)number, (long)mark->done, (long)mark->tried);
}

static int64_t number_in(mp_object_t *dict, mp_key_t key)
{
    mp_tree_t *out = NULL;
    mp_rc_t rc = mp_dict_get(dict, key, &out, LONG_MS);
    MUST(rc == MP_OK || rc == MP_ENOTFOUND, "get: %s (%s)", mp_errname(rc), mp_errmsg());
    return rc == MP_OK ? int_of(out) : 0;
}

static void check_keys(mp_manager_t *manager)
{
    mp_object_t *dict = object_of(manager, MP_OBJECT_DICT, "dict");
    for (int i = 0; i < KEYS; i++)
        is_between("a key", number_in(dict, MP_K(i)), &board->keys[i]);
    mp_object_destroy(&dict);
}

static void check_list(mp_manager_t *manager)
{
    mp_object_t *list = object_of(manager, MP_OBJECT_LIST, "list");
    mp_tree_t *all = NULL;
    mp_rc_t rc = mp_list_copy(list, &all, LONG_MS);
    MUST(rc == MP_OK, "copy: %s (%s)", mp_errname(rc), mp_errmsg());
    long next = board->cut.done, tried = board->cut.tried;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(all); i++) {
        long item = (long)mp_tree_int_or(mp_tree_at(all, i), -1);
        MUST(item >= next && item < board->next_append, "item %ld follows %ld", item, next - 1);
        if (item < next || item >= board->next_append)
            break;
        MUST(board->appended[item] != NEVER, "item %ld wasn't appended", item);
        for (; next < item; next++)
            MUST(board->appended[next] != DONE || (i == 0 && next < tried && item == tried),
                 "item %ld is lost", next);
        next = item + 1;
    }
    for (; next < board->next_append; next++)
        MUST(board->appended[next] != DONE, "item %ld is lost from the end", next);
    mp_tree_destroy(&all);
    mp_object_destroy(&list);
}

/* Takes all out, and puts nothing back: that happens when this process ends. */
static void check_queue(mp_manager_t *manager)
{
    mp_object_t *queue = object_of(manager, MP_OBJECT_JOINABLE_QUEUE, "queue");
    mp_tree_t *out = NULL;
    mp_rc_t rc;
    long next = 0;
    while ((rc = mp_managed_queue_get(queue, &out, 0)) == MP_OK) {
        long item = (long)int_of(out);
        MUST(item >= next && item < board->next_put, "queued %ld follows %ld", item, next - 1);
        if (item < next || item >= board->next_put)
            return;
        MUST(board->put[item] != NEVER, "queued %ld wasn't put", item);
        MUST(board->finished[item] != DONE, "queued %ld was finished", item);
        for (; next < item; next++)
            MUST(board->put[next] != DONE || board->finished[next] != NEVER, "queued %ld is lost",
                 next);
        next = item + 1;
    }
    MUST(rc == MP_EEMPTY, "draining: %s (%s)", mp_errname(rc), mp_errmsg());
    for (; next < board->next_put; next++)
        MUST(board->put[next] != DONE || board->finished[next] != NEVER,
             "queued %ld is lost from the end", next);
    mp_object_destroy(&queue);
}

static void check_numbers(mp_manager_t *manager)
{
    mp_object_t *value = object_of(manager, MP_OBJECT_VALUE, "value");
    mp_object_t *one = object_of(manager, MP_OBJECT_DICT, "account1");
    mp_object_t *two = object_of(manager, MP_OBJECT_DICT, "account2");
    mp_tree_t *out = NULL;
    mp_rc_t rc = mp_managed_value_get(value, &out, NULL, LONG_MS);
    MUST(rc == MP_OK, "value: %s", mp_errname(rc));
    is_between("the value", int_of(out), &board->counter);
    is_between("moves", number_in(two, MP_K("moves")), &board->moves);
    int64_t sum = number_in(one, MP_K("money")) + number_in(two, MP_K("money"));
    MUST(sum == MONEY, "the sum is %lld", (long long)sum);
    mp_object_destroy(&value);
    mp_object_destroy(&one);
    mp_object_destroy(&two);
}

static void check_phoenix(mp_manager_t *manager)
{
    mp_object_t *dict = NULL;
    mp_object_options_t options = {.name = "phoenix", .only_open = true};
    mp_rc_t rc = mp_manager_object(manager, MP_OBJECT_DICT, &options, &dict);
    long made = board->made.done;
    if (rc == MP_OK) {
        int64_t generation = number_in(dict, MP_K("generation"));
        is_between("the phoenix", generation, &board->made);
        MUST(generation > board->deleted.done, "generation %lld was deleted",
             (long long)generation);
        mp_object_destroy(&dict);
    } else {
        MUST(rc == MP_ENOTFOUND, "phoenix: %s (%s)", mp_errname(rc), mp_errmsg());
        MUST(board->deleted.tried >= made, "generation %ld is lost", made);
    }
}

static void check_mayflies(mp_manager_t *manager)
{
    enum { PATIENCE_MS = 2000 };
    mp_object_t *dict = object_of(manager, MP_OBJECT_DICT, "mayflies");
    for (long i = 0; i < MAYFLIES; i++) {
        long until = board->mayflies[i].until_ms;
        const mark_t *value = &board->mayflies[i].value;
        int64_t number = number_in(dict, MP_K(i));
        if (!board->mayflies[i].is_short || number) /* else it may be gone */
            is_between("a mayfly", number, value);
        if (!until || value->tried > value->done)
            continue;
        while (number && keep_now_ms() < until + PATIENCE_MS) {
            keep_sleep_us(2000);
            number = number_in(dict, MP_K(i));
        }
        MUST(number == 0, "mayfly %ld lives for ever", i);
    }
    mp_object_destroy(&dict);
}

/* In a child, which is a new client each time. */
static void check_all(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        mp_manager_t *manager = connect_to();
        check_keys(manager);
        check_list(manager);
        check_numbers(manager);
        check_phoenix(manager);
        check_mayflies(manager);
        check_queue(manager);
        mp_manager_destroy(&manager);
        exit(0);
    }
    waitpid(pid, &status, 0);
    MUST(status == 0, "the checks ended with %x", (unsigned)status);
}

/* ---- killing
 * ----------------------------------------------------------------------------------------------------
 */

typedef void writer_t(mp_manager_t *manager);
static writer_t *const writers[] = {set_keys, append, put,          get,  add,
                                    move,     rise,   live_shortly, lock, lock};
enum { WRITERS = sizeof writers / sizeof *writers };

static void fill(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        mp_manager_t *manager = connect_to();
        mp_object_t *one = object_of(manager, MP_OBJECT_DICT, "account1");
        mp_rc_t rc = mp_dict_set(one, MP_K("money"), MP_V(MONEY), LONG_MS);
        mp_object_destroy(&one);
        mp_manager_destroy(&manager);
        exit(rc != MP_OK);
    }
    waitpid(pid, &status, 0);
    MUST(status == 0, "the money can't be made");
}

static void await_all(const atomic_int *number)
{
    int64_t until = keep_now_ms() + LONG_MS;
    while (atomic_load(number) < WRITERS && keep_now_ms() < until && !atomic_load(&board->failed))
        keep_sleep_us(1000);
    MUST(atomic_load(number) == WRITERS, "only %d of %d are there", *number, WRITERS);
}

static void pause_all(void)
{
    atomic_store(&board->pause, true);
    await_all(&board->paused);
}

static void play_round(long round)
{
    keep_sleep_us(random() % 300000);
    keep_end(&keep, SIGKILL);
    while (random() % 4 == 0) { /* also before it is ready */
        int out = -1;
        keep_launch(&keep, &out);
        keep_sleep_us(random() % 30000);
        keep_end(&keep, SIGKILL);
        close(out);
    }
    if (round % 4 == 1)
        atomic_store(&board->pause, true); /* so that their next calls find the new one */
    keep_start(&keep);
    if (round % 2 == 0)
        return;
    pause_all();
    check_all();
    atomic_store(&board->pause, false);
    while (atomic_load(&board->paused) > 0)
        keep_sleep_us(200);
}

static void end_all(const pid_t *pids)
{
    pause_all();
    keep_end(&keep, SIGKILL);
    keep_start(&keep);
    check_all();
    atomic_store(&board->over, true);
    for (int i = 0; i < WRITERS; i++) {
        int status = -1;
        waitpid(pids[i], &status, 0);
        MUST(status == 0, "writer %d ended with %x", i, (unsigned)status);
    }
}

static long number_from(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : otherwise;
}

int main(void)
{
    pid_t pids[WRITERS];
    long rounds = number_from("ROUNDS", 15), seed = number_from("SEED", (long)time(NULL));
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        keep_fail("mmap");
    srandom((unsigned)seed);
    keep_make(&keep);
    keep_start(&keep);
    fill();
    for (int i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            mp_manager_t *manager = connect_to();
            writers[i](manager);
            mp_manager_destroy(&manager);
            exit(0);
        }
    }
    long round = 0;
    await_all(&board->begun);
    for (; round < rounds && !atomic_load(&board->failed); round++)
        play_round(round);
    end_all(pids);
    printf("%ld kills, seed %ld: %lu calls acknowledged, %lu unknown, %lu not made\n", round, seed,
           board->done, board->unknown, board->refused);
    if (atomic_load(&board->failed))
        fprintf(stderr, "what there is: %s\n", keep.folder);
    else
        keep_clear(&keep);
    return atomic_load(&board->failed);
}
