#include "modules.h"

#include "clock.h"
#include "fault.h"
#include "warehouse.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* What was announced, and isn't settled. The first one is being dealt with. */
typedef struct wanted {
    uint64_t nonce;
    uint64_t bytes;
    bool unasked; /* the broker that asked is lost */
    mpx_ship_t ship;
    struct wanted *prev, *next;
} wanted_t;

typedef enum state { IDLE, FETCHING, LOADING } state_t;

struct mpx_modules {
    mpx_modules_options_t options;
    mpx_warehouse_t *warehouse;
    wanted_t *wanted;
    state_t state;
    int64_t load_until;
    uint8_t (*loaded)[MPX_HASH_BYTES];
    size_t loaded_count;
};

enum { WANTED_MAX = 64, LOAD_MS = 20000, DIRECTORY_MODULES = 16 };

mp_rc_t mpx_modules_new(const mpx_modules_options_t *options, mpx_modules_t **out)
{
    mpx_modules_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "modules");
    self->options = *options;
    mp_rc_t rc =
        mpx_warehouse_open(options->dir, options->max_bytes * DIRECTORY_MODULES, &self->warehouse);
    if (rc != MP_OK) {
        mpx_modules_destroy(&self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

void mpx_modules_destroy(mpx_modules_t **self_p)
{
    mpx_modules_t *self = *self_p;
    if (!self)
        return;
    wanted_t *wanted, *next;
    DL_FOREACH_SAFE (self->wanted, wanted, next)
        free(wanted);
    mpx_warehouse_close(&self->warehouse);
    free(self->loaded);
    free(self);
    *self_p = NULL;
}

/* ---- answers ------------------------------------------------------------------------ */

static void answer(const mpx_modules_t *self, uint64_t nonce, mp_rc_t rc, const char *words)
{
    mpx_buf_t body = {0};
    mpx_problem_t problem = {.message = words};
    mpx_header_t header = {.op = MPX_OP_SHIPPED, .nonce = nonce, .code = rc};
    if (mpx_problem_pack(&problem, &body) == MP_OK)
        (void)self->options.send(self->options.self, &header, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

/* The first one is settled. */
static void settle(mpx_modules_t *self, mp_rc_t rc, const char *words)
{
    wanted_t *wanted = self->wanted;
    if (!wanted->unasked)
        answer(self, wanted->nonce, rc, words);
    mpx_warehouse_drop(self->warehouse);
    DL_DELETE(self->wanted, wanted);
    free(wanted);
    self->state = IDLE;
}

static bool is_loaded(const mpx_modules_t *self, const uint8_t hash[MPX_HASH_BYTES])
{
    for (size_t i = 0; i < self->loaded_count; i++)
        if (memcmp(self->loaded[i], hash, MPX_HASH_BYTES) == 0)
            return true;
    return false;
}

/* ---- the first one -------------------------------------------------------------------- */

static void settle_fault(mpx_modules_t *self, mp_rc_t rc)
{
    char words[512];
    snprintf(words, sizeof words, "%s", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    settle(self, rc, words);
}

static mp_rc_t load(mpx_modules_t *self, int64_t now)
{
    char path[PATH_MAX];
    mp_rc_t rc = mpx_warehouse_path(self->warehouse, self->wanted->ship.hash, path, sizeof path);
    if (rc == MP_OK)
        rc = self->options.load(self->options.self, path);
    if (rc != MP_OK)
        return rc;
    self->state = LOADING;
    self->load_until = now + LOAD_MS * MPX_MS;
    return MP_OK;
}

static void fetch(const mpx_modules_t *self)
{
    const wanted_t *wanted = self->wanted;
    uint64_t had = mpx_warehouse_had(self->warehouse);
    uint64_t left = wanted->bytes - had;
    mpx_header_t header = {.op = MPX_OP_FETCH,
                           .nonce = wanted->nonce,
                           .first = had,
                           .bytes = left < MPX_PIECE_BYTES ? left : MPX_PIECE_BYTES};
    (void)self->options.send(self->options.self, &header, (mp_bytes_t){0});
}

static mp_rc_t begin_to_fetch(mpx_modules_t *self)
{
    const wanted_t *wanted = self->wanted;
    if (wanted->unasked)
        return mpx_fault(MP_ECANCELLED, "its client is gone");
    if (wanted->bytes > self->options.max_bytes)
        return mpx_fault(
            MP_ETOOLARGE, "the module has %llu bytes, and %llu are allowed (--module-bytes)",
            (unsigned long long)wanted->bytes, (unsigned long long)self->options.max_bytes);
    mp_rc_t rc = mpx_warehouse_begin(self->warehouse, wanted->ship.hash, wanted->bytes);
    if (rc != MP_OK)
        return rc;
    self->state = FETCHING;
    fetch(self);
    return MP_OK;
}

static mp_rc_t begin(mpx_modules_t *self, int64_t now)
{
    const wanted_t *wanted = self->wanted;
    if (mpx_warehouse_has(self->warehouse, wanted->ship.hash, wanted->bytes))
        return load(self, now);
    return begin_to_fetch(self);
}

/* Those that can be settled at once are. */
static void go_on(mpx_modules_t *self, int64_t now)
{
    while (self->state == IDLE && self->wanted) {
        if (is_loaded(self, self->wanted->ship.hash)) {
            settle(self, MP_OK, "");
            continue;
        }
        mp_rc_t rc = begin(self, now);
        if (rc != MP_OK)
            settle_fault(self, rc);
    }
}

static mp_rc_t take_piece(mpx_modules_t *self, int64_t now, mp_bytes_t piece)
{
    mp_rc_t rc = mpx_warehouse_add(self->warehouse, piece);
    if (rc != MP_OK)
        return rc;
    if (mpx_warehouse_had(self->warehouse) < self->wanted->bytes) {
        fetch(self);
        return MP_OK;
    }
    rc = mpx_warehouse_finish(self->warehouse);
    return rc == MP_OK ? load(self, now) : rc;
}

/* ---- messages ------------------------------------------------------------------------- */

static mp_rc_t on_ship(mpx_modules_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    int count = 0;
    wanted_t *other;
    DL_COUNT(self->wanted, other, count);
    if (count >= WANTED_MAX) {
        answer(self, header->nonce, MP_ELIMIT, "too many modules come at once");
        return MP_OK;
    }
    wanted_t *wanted = calloc(1, sizeof *wanted);
    if (!wanted)
        return MP_ENOMEM;
    wanted->nonce = header->nonce;
    wanted->bytes = header->bytes;
    mp_rc_t rc = mpx_ship_unpack(payload, &wanted->ship);
    if (rc == MP_OK && wanted->bytes == 0)
        rc = mpx_fault(MP_EPROTO, "a module of no bytes");
    if (rc != MP_OK) {
        free(wanted);
        return rc;
    }
    DL_APPEND(self->wanted, wanted);
    return MP_OK;
}

/* Stale ones are of a client that was gone. */
static mp_rc_t on_piece(mpx_modules_t *self, int64_t now, const mpx_header_t *header,
                        mp_bytes_t payload)
{
    const wanted_t *wanted = self->wanted;
    if (self->state != FETCHING || wanted->nonce != header->nonce ||
        header->first != mpx_warehouse_had(self->warehouse))
        return MP_OK;
    mp_rc_t rc = MP_OK;
    if (header->code || payload.size == 0)
        rc = mpx_fault(MP_EMODULE, "the client can't read all of it any more");
    else if (payload.size > wanted->bytes - header->first)
        rc = mpx_fault(MP_EPROTO, "a piece of the module is too long");
    else
        rc = take_piece(self, now, payload);
    if (rc != MP_OK)
        settle_fault(self, rc);
    return MP_OK;
}

/* Its client is gone. What is being loaded is, all the same. */
static void on_cancelled(mpx_modules_t *self, uint64_t nonce)
{
    wanted_t *wanted, *next;
    DL_FOREACH_SAFE (self->wanted, wanted, next) {
        if (wanted->nonce != nonce)
            continue;
        wanted->unasked = true;
        if (wanted == self->wanted && self->state == FETCHING) {
            settle(self, MP_ECANCELLED, "");
        } else if (wanted != self->wanted || self->state != LOADING) {
            DL_DELETE(self->wanted, wanted);
            free(wanted);
        }
    }
}

mp_rc_t mpx_modules_message(mpx_modules_t *self, int64_t now, const mpx_header_t *header,
                            mp_bytes_t payload)
{
    mp_rc_t rc = MP_OK;
    if (header->op == MPX_OP_SHIP)
        rc = on_ship(self, header, payload);
    else if (header->op == MPX_OP_PIECE)
        rc = on_piece(self, now, header, payload);
    else
        on_cancelled(self, header->nonce);
    go_on(self, now);
    return rc;
}

static void note_loaded(mpx_modules_t *self, const uint8_t hash[MPX_HASH_BYTES])
{
    void *more = realloc(self->loaded, (self->loaded_count + 1) * sizeof *self->loaded);
    if (!more)
        return; /* it will be refused for its tasks' names, if it comes again */
    self->loaded = more;
    memcpy(self->loaded[self->loaded_count++], hash, MPX_HASH_BYTES);
}

void mpx_modules_loaded(mpx_modules_t *self, int64_t now, mp_rc_t rc, const char *problem)
{
    if (self->state != LOADING)
        return;
    if (rc == MP_OK)
        note_loaded(self, self->wanted->ship.hash);
    else
        mpx_warehouse_remove(self->warehouse, self->wanted->ship.hash);
    settle(self, rc, problem);
    go_on(self, now);
}

void mpx_modules_lost(mpx_modules_t *self)
{
    wanted_t *wanted, *next;
    DL_FOREACH_SAFE (self->wanted, wanted, next) {
        wanted->unasked = true;
        if (wanted == self->wanted && self->state == LOADING)
            continue;
        DL_DELETE(self->wanted, wanted);
        free(wanted);
    }
    if (self->state == FETCHING) {
        mpx_warehouse_drop(self->warehouse);
        self->state = IDLE;
    }
}

void mpx_modules_tick(mpx_modules_t *self, int64_t now)
{
    if (self->state != LOADING || now < self->load_until)
        return;
    self->load_until = MPX_NEVER;
    self->options.stop_loading(self->options.self);
}

int64_t mpx_modules_deadline(const mpx_modules_t *self)
{
    return self->state == LOADING ? self->load_until : MPX_NEVER;
}
