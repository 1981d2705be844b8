/* archive_kit.h: an archive with an engine whose worker is the test, and a clock of integers. */
#ifndef ARCHIVE_KIT_H
#define ARCHIVE_KIT_H

#include "archive.h"
#include "job_body.h"
#include "kept_job.h"
#include "suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OK(call) ck_assert_int_eq((call), MP_OK)

enum {
    SENT_MAX = 2048,
    WORKER = 1,
    KEEP_MS = 1000,
    RETURN_MS = 500,
    WAIT_MS = 60000,
    MS = 1000000
};

typedef struct sent {
    mpx_header_t header;
    uint64_t peer;
    unsigned char payload[256];
    size_t size;
} sent_t;

static mpx_engine_t *engine;
static mpx_archive_t *archive;
static mpx_store_t *store; /* NULL: in memory */
static bool disk_is_full;
static mpx_log_t quiet;
static mpx_peer_t one = {.id = 11, .roles = MPX_MAY_SUBMIT};
static mpx_peer_t two = {.id = 12, .roles = MPX_MAY_SUBMIT};
static sent_t sent[SENT_MAX]; /* to clients */
static size_t sent_count;
static sent_t work[SENT_MAX]; /* to the worker */
static size_t work_count;
static bool has_credit = true;

static inline void note(sent_t *out, const mpx_header_t *header, mp_bytes_t payload)
{
    ck_assert_uint_le(payload.size, sizeof out->payload);
    out->header = *header;
    out->size = payload.size;
    if (payload.size)
        memcpy(out->payload, payload.data, payload.size);
}

static inline mp_rc_t send_client(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload)
{
    ck_assert_uint_lt(sent_count, SENT_MAX);
    sent[sent_count].peer = peer->id;
    note(&sent[sent_count++], header, payload);
    return MP_OK;
}

static inline bool tell_client(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload)
{
    return has_credit && send_client(peer, header, payload) == MP_OK;
}

static inline mp_rc_t send_worker(void *self, uint64_t worker, const mpx_header_t *header,
                                  mp_bytes_t payload)
{
    (void)self;
    (void)worker;
    if (header->op == MPX_OP_SUBMIT)
        note(&work[work_count++ % SENT_MAX], header, payload);
    return MP_OK;
}

static inline void stop_worker(void *self, uint64_t worker, uint64_t job, uint64_t chunk,
                               mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)self;
    (void)worker;
    (void)job;
    (void)chunk;
    (void)stage;
    (void)why;
}

static inline void begin(uint64_t kept_bytes, uint64_t dead_bytes)
{
    mpx_transport_t transport = {.send = send_worker, .stop = stop_worker};
    sent_count = work_count = 0;
    mpx_log_init(&quiet, MP_LOG_ERROR, STDERR_FILENO);
    OK(mpx_engine_new(&transport, "here", &engine));
    mpx_archive_options_t options = {.engine = engine,
                                     .store = store,
                                     .kept_bytes = kept_bytes,
                                     .keep_ms = KEEP_MS,
                                     .wait_ms = WAIT_MS,
                                     .dead_bytes = dead_bytes,
                                     .return_ms = RETURN_MS,
                                     .log = &quiet,
                                     .send = send_client,
                                     .tell = tell_client};
    OK(mpx_archive_new(&options, 0, &archive));
    mpx_worker_spec_t spec = {.slots = 64, .horizon_ns = MS, .credit_bytes = 1 << 20};
    OK(mpx_engine_worker_join(engine, 0, WORKER, NULL, &spec));
}

static inline void end(void)
{
    mpx_archive_destroy(&archive);
    mpx_engine_destroy(&engine);
}

/* While it is set no file can become longer. */
static inline void limit_disk(bool is_full)
{
    struct rlimit limit;
    OK(getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = is_full ? 0 : limit.rlim_max;
    OK(setrlimit(RLIMIT_FSIZE, &limit));
}

/* The disk is full for a moment only: Check's messages need one, too. */
static inline void turn(int64_t now)
{
    limit_disk(disk_is_full);
    mp_rc_t flushed = mpx_archive_flush(archive, now);
    mp_rc_t settled = mpx_archive_settle(archive, now, store ? mpx_store_commit(store) : MP_OK);
    limit_disk(false);
    OK(flushed);
    OK(settled);
}

/* What has been sent since; the only one. */
static inline const sent_t *only(mpx_op_t op)
{
    ck_assert_uint_eq(sent_count, 1);
    sent_count = 0;
    ck_assert_int_eq(sent[0].header.op, op);
    return &sent[0];
}

static inline void answered(mpx_op_t kind, mp_rc_t code)
{
    const sent_t *answer = only(MPX_OP_JOB_DONE);
    ck_assert_int_eq(answer->header.kind, kind);
    ck_assert_int_eq(answer->header.code, code);
}

static inline mp_rc_t ask(mpx_peer_t *peer, int64_t now, mpx_header_t header, const void *data,
                          size_t size)
{
    mp_rc_t rc = mpx_archive_message(archive, now, peer, &header, (mp_bytes_t){data, size});
    if (rc == MP_OK)
        turn(now);
    return rc;
}

static inline mpx_keep_t keep_of(const char *id, const char *key, uint64_t token)
{
    return (mpx_keep_t){.id = id, .key = key, .token = token};
}

static inline mp_rc_t keep(mpx_peer_t *peer, uint64_t nonce, mpx_keep_t wanted, const char *task)
{
    mpx_buf_t open = {0}, body = {0};
    mpx_open_t opened = {.task = task, .signature = "bytes -> bytes little"};
    OK(mpx_open_pack(&opened, &open));
    wanted.open = mpx_buf_bytes(&open);
    OK(mpx_keep_pack(&wanted, &body));
    mp_rc_t rc =
        ask(peer, 0, (mpx_header_t){.op = MPX_OP_JOB_KEEP, .nonce = nonce}, body.data, body.size);
    mpx_buf_free(&open);
    mpx_buf_free(&body);
    return rc;
}

/* One call for each letter. */
static inline mp_rc_t put(mpx_peer_t *peer, uint64_t nonce, uint64_t first, const char *letters,
                          bool last)
{
    mpx_header_t header = {.op = MPX_OP_JOB_PUT,
                           .nonce = nonce,
                           .first = first,
                           .count = (uint32_t)strlen(letters),
                           .item_bytes = 1,
                           .kind = last ? MPX_JOB_LAST : 0};
    return ask(peer, 0, header, letters, strlen(letters));
}

static inline mp_rc_t take(mpx_peer_t *peer, uint64_t nonce, uint64_t first)
{
    mpx_header_t header = {.op = MPX_OP_JOB_TAKE, .nonce = nonce, .first = first, .bytes = 1 << 20};
    return ask(peer, 0, header, NULL, 0);
}

/* All that the worker is given, also meanwhile: the value is the input, or the code says how it
 * failed. How many calls. */
static inline size_t work_off(int64_t now, mp_rc_t code)
{
    size_t calls = 0;
    for (size_t i = 0; i < work_count; i++) {
        mpx_header_t header = {.op = MPX_OP_RESULT,
                               .chunk = work[i].header.chunk,
                               .first = work[i].header.first,
                               .count = work[i].header.count,
                               .code = code,
                               .item_bytes = code ? 0 : 1,
                               .busy_ns = 1000};
        calls += work[i].header.count;
        OK(mpx_engine_message(engine, now, WORKER, &header,
                              (mp_bytes_t){work[i].payload, code ? 0 : work[i].size}));
    }
    work_count = 0;
    return calls;
}

static inline void gives(const sent_t *message, uint64_t first, const char *letters)
{
    mp_bytes_t rest = {message->payload, message->size};
    mpx_record_t record;
    ck_assert_int_eq(message->header.op, MPX_OP_JOB_GIVE);
    ck_assert_uint_eq(message->header.first, first);
    ck_assert_uint_eq(message->header.count, strlen(letters));
    for (; *letters; letters++) {
        OK(mpx_record_next(&rest, &record));
        OK(record.rc);
        ck_assert_mem_eq(record.value.data, letters, 1);
    }
    ck_assert_uint_eq(rest.size, 0);
}

/* What is said of a job to who looks at it for a moment. */
static inline mpx_kept_info_t look(mpx_peer_t *peer, int64_t now, const char *id)
{
    static void *arena;
    mpx_kept_info_t info = {0};
    mpx_keep_t wanted = keep_of(id, "", 99);
    mpx_header_t leave = {.op = MPX_OP_JOB_FREE, .nonce = 99, .kind = MPX_JOB_LEAVE};
    wanted.attach = true;
    sent_count = 0;
    OK(keep(peer, 99, wanted, "t"));
    const sent_t *said = only(MPX_OP_JOB_INFO);
    free(arena);
    OK(mpx_kept_info_unpack((mp_bytes_t){said->payload, said->size}, &info, &arena));
    OK(ask(peer, now, leave, NULL, 0));
    sent_count = 0;
    return info;
}

/* A moment's look. */
static inline bool is_there(mpx_peer_t *peer, const char *id)
{
    mpx_keep_t wanted = keep_of(id, "", 99);
    mpx_header_t leave = {.op = MPX_OP_JOB_FREE, .nonce = 99, .kind = MPX_JOB_LEAVE};
    wanted.attach = true;
    sent_count = 0;
    OK(keep(peer, 99, wanted, "t"));
    bool there = sent[0].header.op == MPX_OP_JOB_INFO;
    if (there)
        OK(ask(peer, 0, leave, NULL, 0));
    sent_count = 0;
    return there;
}

static inline size_t count_letters(mpx_peer_t *peer)
{
    mpx_dead_order_t order = {.what = MPX_DEAD_LIST};
    mpx_buf_t body = {0};
    OK(mpx_dead_order_pack(&order, &body));
    sent_count = 0;
    OK(ask(peer, 0, (mpx_header_t){.op = MPX_OP_JOB_DEAD, .nonce = 98}, body.data, body.size));
    mpx_buf_free(&body);
    size_t count = sent_count - 1;
    sent_count = 0;
    return count;
}

/* ---- with a disk -------------------------------------------------------------------- */

static char folder[64];

static inline void open_store(void)
{
    mpx_store_options_t options = {.directory = folder, .max_bytes = 1 << 22};
    signal(SIGXFSZ, SIG_IGN);
    OK(mpx_store_open(&options, &store));
}

static inline void close_store(void)
{
    char path[128];
    mpx_store_close(&store);
    static const char *const files[] = {"data.mdb", "lock"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        ck_assert_int_eq(remove(path), 0);
    }
    ck_assert_int_eq(remove(folder), 0);
}

static inline void make_disk(void)
{
    const char *where = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.32s/mp-archive-XXXXXX", where && *where ? where : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    open_store();
}

static inline void begin_with_disk(void)
{
    make_disk();
    begin(1 << 20, 1 << 20);
}

static inline void end_with_disk(void)
{
    end();
    close_store();
}

#endif
