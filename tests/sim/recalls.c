#include "recalls.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* A worker answers in the turn in which it hears; LATE_MS: some rounds of asking, farther and
 * farther apart, and the ways there and back. */
enum { TURNS_MAX = 2, LATE_MS = 1500 };

typedef struct key {
    uint64_t conn, chunk;
} chunk_key_t;

/* A chunk at a worker. */
typedef struct chunk {
    chunk_key_t key;
    const proc_t *worker;
    int64_t came_at;
    uint32_t count, answered;
    bool begun, asked, returned;
    unsigned turns; /* since it was asked for */
    UT_hash_handle hh;
    order_t orders[];
} chunk_t;

static struct {
    chunk_t *chunks;
    int64_t moved_at[PROCS_MAX]; /* when a worker last began or ended something, or had nothing */
} recalls;

void recalls_reset(void)
{
    memset(&recalls, 0, sizeof recalls);
}

static void take_out(chunk_t *chunk)
{
    HASH_DEL(recalls.chunks, chunk);
    free(chunk);
}

void recalls_free(void)
{
    chunk_t *chunk, *next;
    HASH_ITER (hh, recalls.chunks, chunk, next)
        take_out(chunk);
}

void recalls_cut(uint64_t conn)
{
    chunk_t *chunk, *next;
    HASH_ITER (hh, recalls.chunks, chunk, next)
        if (chunk->key.conn == conn)
            take_out(chunk);
}

static chunk_t *find(uint64_t conn, uint64_t number)
{
    chunk_key_t key = {conn, number};
    chunk_t *chunk = NULL;
    HASH_FIND(hh, recalls.chunks, &key, sizeof key, chunk);
    return chunk;
}

static bool is_there(const chunk_t *chunk)
{
    return !chunk->returned && chunk->answered < chunk->count;
}

static bool has_nothing(const proc_t *worker)
{
    for (const chunk_t *chunk = recalls.chunks; chunk; chunk = chunk->hh.next)
        if (chunk->worker == worker && is_there(chunk))
            return false;
    return true;
}

static void moves(const proc_t *worker)
{
    recalls.moved_at[worker - world->procs] = world->now;
}

/* ---- messages ------------------------------------------------------------------------- */

static void is_given(const proc_t *worker, uint64_t conn, const mpx_header_t *header,
                     mp_bytes_t payload)
{
    mp_bytes_t item;
    chunk_t *chunk = calloc(1, sizeof *chunk + header->count * sizeof chunk->orders[0]);
    MUST(chunk, "no memory");
    chunk->key = (chunk_key_t){conn, header->chunk};
    chunk->worker = worker;
    chunk->came_at = world->now;
    chunk->count = header->count;
    for (uint32_t i = 0; i < header->count; i++)
        MUST(mpx_item_next(&payload, header->item_bytes, &item) == MP_OK &&
                 order_read(item, &chunk->orders[i]),
             "a worker is given garbage");
    if (has_nothing(worker))
        moves(worker);
    HASH_ADD(hh, recalls.chunks, key, sizeof chunk->key, chunk);
}

static void is_answered(chunk_t *chunk, const mpx_header_t *header)
{
    MUST(!chunk->returned, "%s says %s of chunk %llu, which it has given back",
         name_of(chunk->worker), mpx_op_name(header->op), (unsigned long long)header->chunk);
    moves(chunk->worker);
    chunk->begun = true;
    if (header->op == MPX_OP_RESULT)
        chunk->answered += header->count;
    if (!is_there(chunk))
        take_out(chunk);
}

static void is_returned(chunk_t *chunk, const mpx_header_t *header)
{
    MUST(chunk->asked && !chunk->returned, "%s answers for chunk %llu, and wasn't asked",
         name_of(chunk->worker), (unsigned long long)header->chunk);
    MUST(!header->count || (!chunk->begun && header->count == chunk->count),
         "%s gives back %u of %u calls of chunk %llu, which it has%s begun", name_of(chunk->worker),
         header->count, chunk->count, (unsigned long long)header->chunk, chunk->begun ? "" : "n't");
    chunk->asked = false;
    chunk->returned = header->count > 0;
}

void recalls_said(const proc_t *by, uint64_t conn, mp_bytes_t head)
{
    mpx_header_t header;
    mp_bytes_t rest;
    bool apart;
    if (by->role != WORKER || mpx_head_unpack(head, &header, &rest, &apart) != MP_OK)
        return;
    chunk_t *chunk = find(conn, header.chunk);
    if (chunk && (header.op == MPX_OP_STARTED || header.op == MPX_OP_RESULT))
        is_answered(chunk, &header);
    else if (chunk && header.op == MPX_OP_RETURNED)
        is_returned(chunk, &header);
}

void recalls_heard(const proc_t *by, uint64_t conn, mp_bytes_t head, mp_bytes_t payload)
{
    mpx_header_t header;
    mp_bytes_t rest;
    bool apart;
    if (by->role != WORKER || mpx_head_unpack(head, &header, &rest, &apart) != MP_OK)
        return;
    chunk_t *chunk = find(conn, header.chunk);
    if (header.op == MPX_OP_SUBMIT)
        is_given(by, conn, &header, apart ? payload : rest);
    else if (header.op == MPX_OP_RECALL && chunk && !chunk->returned) {
        chunk->asked = true;
        chunk->turns = 0;
    }
}

/* ---- what must hold ------------------------------------------------------------------- */

void recalls_begun(const proc_t *worker, const order_t *order)
{
    const chunk_t *returned = NULL;
    for (const chunk_t *chunk = recalls.chunks; chunk; chunk = chunk->hh.next)
        for (uint32_t i = 0; chunk->worker == worker && i < chunk->count; i++) {
            if (memcmp(&chunk->orders[i], order, sizeof *order) != 0)
                continue;
            if (!chunk->returned)
                return;
            returned = chunk;
        }
    MUST(!returned, "%s begins a call of chunk %llu, which it has given back", name_of(worker),
         (unsigned long long)returned->key.chunk);
}

static bool could_run(const proc_t *worker, const order_t *order)
{
    return worker->role == WORKER && worker->alive && !worker->leaves &&
           (worker->tasks >> order->task & 1) &&
           goods_meet(goods_of(worker->goods), goods_of(order->needs));
}

/* For so long that it must have been given what waits elsewhere. */
static bool idles(const proc_t *worker)
{
    return has_nothing(worker) &&
           world->now - recalls.moved_at[worker - world->procs] > LATE_MS * MPX_MS;
}

/* It has neither begun nor ended anything for so long, nor was it given that lately. */
static bool is_stuck(const chunk_t *chunk)
{
    int64_t since = recalls.moved_at[chunk->worker - world->procs];
    since = since > chunk->came_at ? since : chunk->came_at;
    return is_there(chunk) && !chunk->begun && world->now - since > LATE_MS * MPX_MS;
}

static void check_waiting(const chunk_t *chunk)
{
    if (suffers(BREAKS | DISK) || !is_stuck(chunk))
        return;
    for (unsigned i = 0; i < world->procs_count; i++) {
        const proc_t *other = &world->procs[i];
        MUST(!could_run(other, &chunk->orders[0]) || !idles(other),
             "chunk %llu waits at %s, and %s has nothing to do",
             (unsigned long long)chunk->key.chunk, name_of(chunk->worker), name_of(other));
    }
}

void recalls_check(const proc_t *worker)
{
    for (chunk_t *chunk = recalls.chunks; chunk; chunk = chunk->hh.next) {
        if (chunk->worker != worker)
            continue;
        MUST(!chunk->asked || ++chunk->turns <= TURNS_MAX,
             "%s was asked for chunk %llu, and doesn't answer", name_of(worker),
             (unsigned long long)chunk->key.chunk);
        check_waiting(chunk);
    }
}
