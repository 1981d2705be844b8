#include "account.h"

#include "fault.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>
#include <utlist.h>

typedef struct mpx_ajob {
    uint64_t id;
    bool unlisted;
    UT_hash_handle hh;
    size_t size;
    unsigned char open[]; /* the body */
} ajob_t;

typedef struct mpx_achunk {
    uint64_t id;
    uint32_t count;
    uint32_t answered;
    bool unlisted;
    UT_hash_handle hh;
} achunk_t;

enum {
    KEY_SESSION = 8,
    KEY_PART = 16,
    KEY_MAX = 17,
    ANSWERED = 0,
    SUBMITTED = 1,
    HEAD_BYTES = 32,
    HEAD_BYTES_ONCE = 24, /* before there was `heard` */
    LETTERS_MAX = 1 << 18
};

/* ---- keys ------------------------------------------------------------------------- */

static void put_number(unsigned char *out, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(number >> (56 - 8 * i));
}

static uint64_t get_number(const void *from)
{
    const unsigned char *at = from;
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | at[i];
    return number;
}

typedef struct place {
    unsigned char bytes[KEY_MAX];
} place_t;

static mp_bytes_t key_of(place_t *key, const mpx_account_t *self, uint64_t part, size_t size)
{
    put_number(key->bytes, self->number);
    put_number(key->bytes + KEY_SESSION, part);
    return (mp_bytes_t){key->bytes, size};
}

static mp_bytes_t chunk_key(place_t *key, const mpx_account_t *self, uint64_t chunk, int what)
{
    key->bytes[KEY_PART] = (unsigned char)what;
    return key_of(key, self, chunk, KEY_MAX);
}

/* ---- putting down ----------------------------------------------------------------- */

/* What an error of the store leads to is seen at the commit. */
static bool is_put_down(mpx_account_t *self)
{
    if (!self->store)
        return false;
    self->changed = true;
    self->written = self->written || !self->stale;
    return !self->stale;
}

static void put_job(mpx_account_t *self, const ajob_t *job)
{
    place_t key;
    (void)mpx_store_put(self->store, MPX_BUCKET_JOB, key_of(&key, self, job->id, KEY_PART),
                        (mp_bytes_t){job->open, job->size});
}

/* A message as it would travel. */
static void put_message(mpx_account_t *self, mpx_bucket_t bucket, mp_bytes_t key,
                        const mpx_header_t *header, mp_bytes_t payload)
{
    uint8_t head[MPX_HEAD_MAX];
    mpx_buf_t message = {0};
    size_t size = mpx_head_pack(header, false, head);
    mp_rc_t rc = mpx_buf_add(&message, head, size);
    if (rc == MP_OK && payload.size)
        rc = mpx_buf_add(&message, payload.data, payload.size);
    if (rc == MP_OK)
        (void)mpx_store_put(self->store, bucket, key, mpx_buf_bytes(&message));
    else
        self->trouble = rc;
    mpx_buf_free(&message);
}

static void put_chunk(mpx_account_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    place_t key;
    put_message(self, MPX_BUCKET_CALL, chunk_key(&key, self, header->chunk, SUBMITTED), header,
                payload);
}

static void put_answered(mpx_account_t *self, const achunk_t *chunk)
{
    place_t key;
    unsigned char count[8];
    put_number(count, chunk->answered);
    (void)mpx_store_put(self->store, MPX_BUCKET_CALL, chunk_key(&key, self, chunk->id, ANSWERED),
                        (mp_bytes_t){count, sizeof count});
}

static void put_letter(mpx_account_t *self, const mpx_aletter_t *letter)
{
    place_t key;
    put_message(self, MPX_BUCKET_RESULT, key_of(&key, self, letter->number, KEY_PART),
                &letter->header, (mp_bytes_t){letter->payload, letter->size});
}

static uint64_t letters_sent(const mpx_account_t *self)
{
    return self->unsent ? self->unsent->number - 1 : self->told;
}

/* A client may have had letters that never came to the disk, which was full; the next broker gives
 * their numbers to others. So it must know how far a client can have heard just those that it has.
 */
static void note_heard(mpx_account_t *self)
{
    uint64_t heard = self->peer ? self->told : letters_sent(self);
    if (self->heard < heard)
        self->heard = heard;
}

static void put_head(mpx_account_t *self)
{
    place_t key;
    unsigned char head[HEAD_BYTES];
    note_heard(self);
    put_number(head, self->secret);
    put_number(head + 8, self->kept);
    put_number(head + 16, self->told);
    put_number(head + 24, self->heard);
    (void)mpx_store_put(self->store, MPX_BUCKET_JOB, key_of(&key, self, 0, KEY_SESSION),
                        (mp_bytes_t){head, sizeof head});
}

static void delete_all(const mpx_account_t *self)
{
    place_t key;
    mp_bytes_t prefix = key_of(&key, self, 0, KEY_SESSION);
    (void)mpx_store_del_all(self->store, MPX_BUCKET_JOB, prefix);
    (void)mpx_store_del_all(self->store, MPX_BUCKET_CALL, prefix);
    (void)mpx_store_del_all(self->store, MPX_BUCKET_RESULT, prefix);
}

static void put_all(mpx_account_t *self)
{
    delete_all(self);
    if (!self->relay)
        return;
    for (const ajob_t *job = self->jobs; job; job = job->hh.next)
        put_job(self, job);
    for (const achunk_t *chunk = self->chunks; chunk; chunk = chunk->hh.next) {
        mpx_header_t header;
        mp_bytes_t payload;
        if (!mpx_relay_chunk(self->relay, chunk->id, &header, &payload))
            continue;
        put_chunk(self, &header, payload);
        if (chunk->answered)
            put_answered(self, chunk);
    }
    const mpx_aletter_t *letter;
    DL_FOREACH (self->letters, letter)
        put_letter(self, letter);
    put_head(self);
}

void mpx_account_write(mpx_account_t *self)
{
    if (self->store && self->changed && !self->stale && self->relay)
        put_head(self);
}

void mpx_account_committed(mpx_account_t *self, mp_rc_t rc)
{
    if (rc != MP_OK)
        self->stale = self->stale || self->changed;
    if (self->stale || !self->store)
        return;
    self->changed = false;
    self->kept_sure = self->kept;
    self->told_sure = self->told;
}

mp_rc_t mpx_account_rewrite(mpx_account_t *self)
{
    put_all(self);
    mp_rc_t rc = mpx_store_commit(self->store);
    if (rc != MP_OK)
        return rc;
    self->stale = false;
    mpx_account_committed(self, MP_OK);
    return MP_OK;
}

/* ---- jobs and chunks -------------------------------------------------------------- */

static ajob_t *find_job(const mpx_account_t *self, uint64_t id)
{
    ajob_t *job = NULL;
    HASH_FIND(hh, self->jobs, &id, sizeof id, job);
    return job;
}

static achunk_t *find_chunk(const mpx_account_t *self, uint64_t id)
{
    achunk_t *chunk = NULL;
    HASH_FIND(hh, self->chunks, &id, sizeof id, chunk);
    return chunk;
}

static ajob_t *job_add(mpx_account_t *self, uint64_t id, mp_bytes_t open)
{
    ajob_t *job = calloc(1, sizeof *job + open.size);
    if (!job)
        return NULL;
    job->id = id;
    job->size = open.size;
    if (open.size)
        memcpy(job->open, open.data, open.size);
    HASH_ADD(hh, self->jobs, id, sizeof job->id, job);
    if (job->unlisted) {
        free(job);
        return NULL;
    }
    return job;
}

static void job_drop(mpx_account_t *self, uint64_t id)
{
    place_t key;
    ajob_t *job = find_job(self, id);
    if (!job)
        return;
    HASH_DEL(self->jobs, job);
    free(job);
    if (is_put_down(self))
        (void)mpx_store_del(self->store, MPX_BUCKET_JOB, key_of(&key, self, id, KEY_PART));
}

static achunk_t *chunk_add(mpx_account_t *self, uint64_t id, uint32_t count, uint32_t answered)
{
    achunk_t *chunk = calloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->id = id;
    chunk->count = count;
    chunk->answered = answered;
    HASH_ADD(hh, self->chunks, id, sizeof chunk->id, chunk);
    if (chunk->unlisted) {
        free(chunk);
        return NULL;
    }
    return chunk;
}

/* So many more of its calls are answered. */
static void chunk_answered(mpx_account_t *self, uint64_t id, uint32_t count)
{
    place_t key;
    achunk_t *chunk = find_chunk(self, id);
    if (!chunk)
        return;
    chunk->answered += count;
    if (chunk->answered < chunk->count) {
        if (is_put_down(self))
            put_answered(self, chunk);
        return;
    }
    HASH_DEL(self->chunks, chunk);
    free(chunk);
    if (is_put_down(self))
        (void)mpx_store_del_all(self->store, MPX_BUCKET_CALL, key_of(&key, self, id, KEY_PART));
}

/* ---- letters ---------------------------------------------------------------------- */

static mpx_aletter_t *letter_add(mpx_account_t *self, uint64_t number, const mpx_header_t *header,
                                 mp_bytes_t payload)
{
    mpx_aletter_t *letter = malloc(sizeof *letter + payload.size);
    if (!letter)
        return NULL;
    letter->number = number;
    letter->header = *header;
    letter->size = payload.size;
    if (payload.size)
        memcpy(letter->payload, payload.data, payload.size);
    DL_APPEND(self->letters, letter);
    if (!self->unsent)
        self->unsent = letter;
    return letter;
}

static void letter_drop(mpx_account_t *self, mpx_aletter_t *letter)
{
    place_t key;
    if (self->unsent == letter)
        self->unsent = letter->next;
    DL_DELETE(self->letters, letter);
    if (is_put_down(self))
        (void)mpx_store_del(self->store, MPX_BUCKET_RESULT,
                            key_of(&key, self, letter->number, KEY_PART));
    free(letter);
}

mp_rc_t mpx_account_send(void *arg, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_account_t *self = arg;
    bool about_job = header->op == MPX_OP_ERROR && header->job;
    if (!self->store || (header->op != MPX_OP_RESULT && !about_job))
        return self->peer ? self->send(self->peer, header, payload) : MP_OK;
    const mpx_aletter_t *letter = letter_add(self, self->told + 1, header, payload);
    if (!letter) {
        self->trouble = MP_ENOMEM;
        return MP_ENOMEM;
    }
    self->told++;
    if (is_put_down(self))
        put_letter(self, letter);
    if (about_job)
        job_drop(self, header->job);
    else
        chunk_answered(self, header->chunk, header->count);
    return MP_OK;
}

static void had(mpx_account_t *self, uint64_t number)
{
    while (self->letters && self->letters->number <= number)
        letter_drop(self, self->letters);
}

bool mpx_account_can_resume(const mpx_account_t *self, uint64_t kept, uint64_t number)
{
    uint64_t sent = self->loaded ? self->heard : letters_sent(self);
    return kept <= self->kept_sure && number <= sent;
}

void mpx_account_resume(mpx_account_t *self, uint64_t number)
{
    uint64_t bytes = 0;
    const mpx_aletter_t *letter;
    had(self, number);
    DL_FOREACH (self->letters, letter)
        if (letter->header.op == MPX_OP_RESULT) /* ERRORs are not acknowledged in bytes */
            bytes += letter->size;
    self->loaded = false;
    self->unsent = self->letters;
    if (self->letters)
        (void)is_put_down(self); /* that it has heard them, before they are sent */
    self->kept_said = self->kept_sure;
    self->skip = self->kept - self->kept_sure;
    mpx_relay_resume(self->relay, bytes);
}

/* While it is stale nothing more can be made sure, and what there is goes on. A client that had
 * more than the disk knows is not resumed by another broker. */
void mpx_account_tell(mpx_account_t *self)
{
    if (!self->store || !self->peer)
        return;
    if (self->kept_said < self->kept_sure) {
        self->kept_said = self->kept_sure;
        mpx_header_t header = {.op = MPX_OP_KEPT, .first = self->kept_said};
        (void)self->send(self->peer, &header, (mp_bytes_t){0});
    }
    uint64_t until = self->stale ? self->told : self->told_sure;
    while (self->unsent && self->unsent->number <= until) {
        const mpx_aletter_t *letter = self->unsent;
        (void)self->send(self->peer, &letter->header, (mp_bytes_t){letter->payload, letter->size});
        self->unsent = letter->next;
    }
}

/* ---- messages --------------------------------------------------------------------- */

static mp_rc_t note_open(mpx_account_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    if (!header->job || find_job(self, header->job))
        return MP_OK; /* the relay has the words for it */
    const ajob_t *job = job_add(self, header->job, payload);
    if (!job)
        return MP_ENOMEM;
    if (is_put_down(self))
        put_job(self, job);
    return MP_OK;
}

static mp_rc_t note_submit(mpx_account_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    if (!header->chunk || !header->count || find_chunk(self, header->chunk))
        return MP_OK;
    if (!chunk_add(self, header->chunk, header->count, 0))
        return MP_ENOMEM;
    if (is_put_down(self))
        put_chunk(self, header, payload);
    return MP_OK;
}

/* Without words: they would count as bytes that the relay has sent. */
static mp_rc_t refuse(mpx_account_t *self, const mpx_header_t *submit)
{
    mpx_header_t header = {.op = MPX_OP_RESULT,
                           .chunk = submit->chunk,
                           .first = submit->first,
                           .count = submit->count,
                           .code = MP_ENOSPACE};
    return mpx_account_send(self, &header, (mp_bytes_t){0});
}

/* Results without a payload cost a client no credit, but they do cost us memory. */
static bool is_deaf(const mpx_account_t *self)
{
    return self->letters && self->told - self->letters->number >= LETTERS_MAX;
}

static mp_rc_t carry_out(mpx_account_t *self, int64_t now, const mpx_header_t *header,
                         mp_bytes_t payload)
{
    mp_rc_t rc = MP_OK;
    if (is_deaf(self))
        return mpx_fault(MP_ELIMIT, "too many results that were not acknowledged");
    if (header->op == MPX_OP_OPEN)
        rc = note_open(self, header, payload);
    if (header->op == MPX_OP_SUBMIT && self->stale && header->chunk && header->count &&
        !find_chunk(self, header->chunk))
        return refuse(self, header);
    if (header->op == MPX_OP_SUBMIT)
        rc = note_submit(self, header, payload);
    if (rc == MP_OK)
        rc = mpx_relay_message(self->relay, now, header, payload);
    if (rc == MP_OK && header->op == MPX_OP_CLOSE)
        job_drop(self, header->job);
    return rc;
}

static bool is_kept(mpx_op_t op)
{
    return op == MPX_OP_OPEN || op == MPX_OP_SUBMIT || op == MPX_OP_CANCEL || op == MPX_OP_CLOSE;
}

mp_rc_t mpx_account_message(mpx_account_t *self, int64_t now, const mpx_header_t *header,
                            mp_bytes_t payload)
{
    if (self->store && header->op == MPX_OP_ACK) {
        if (header->first > letters_sent(self))
            return mpx_fault(MP_EPROTO, "an ACK for messages that were not sent");
        had(self, header->first);
    }
    if (!self->store || !is_kept(header->op))
        return mpx_relay_message(self->relay, now, header, payload);
    if (self->skip > 0) {
        self->skip--;
        return MP_OK;
    }
    mp_rc_t rc = carry_out(self, now, header, payload);
    self->kept++;
    self->changed = true;
    return rc;
}

/* ---- the end ---------------------------------------------------------------------- */

static void forget(mpx_account_t *self, int64_t now)
{
    mpx_relay_destroy(&self->relay, now);
    ajob_t *job, *next_job;
    HASH_ITER (hh, self->jobs, job, next_job) {
        HASH_DEL(self->jobs, job);
        free(job);
    }
    achunk_t *chunk, *next_chunk;
    HASH_ITER (hh, self->chunks, chunk, next_chunk) {
        HASH_DEL(self->chunks, chunk);
        free(chunk);
    }
    mpx_aletter_t *letter, *next_letter;
    DL_FOREACH_SAFE (self->letters, letter, next_letter)
        free(letter);
    self->letters = NULL;
    self->unsent = NULL;
}

void mpx_account_clear(mpx_account_t *self, int64_t now)
{
    forget(self, now);
    if (self->store && (self->written || self->stale) && is_put_down(self))
        delete_all(self);
    self->kept = self->kept_sure = self->kept_said = 0;
    self->told = self->told_sure = self->heard = 0;
    self->skip = 0;
    self->loaded = false;
}

void mpx_account_free(mpx_account_t *self, int64_t now)
{
    forget(self, now);
    free(self);
}

/* Between turns, when what the relay gathers is sent. */
const char *mpx_account_check(const mpx_account_t *self)
{
    uint64_t number = self->letters ? self->letters->number : 0;
    const mpx_aletter_t *letter;
    if (self->kept_said > self->kept_sure || self->kept_sure > self->kept)
        return "a client was told of more than was kept";
    if (self->told_sure > self->told)
        return "more letters are sure than were made";
    DL_FOREACH (self->letters, letter)
        if (letter->number != number++)
            return "letters are not in a row";
    if (self->letters && number != self->told + 1)
        return "the last letter is missing";
    if (!self->relay)
        return NULL;
    for (const achunk_t *chunk = self->chunks; chunk; chunk = chunk->hh.next) {
        mpx_header_t header;
        mp_bytes_t payload;
        if (chunk->answered >= chunk->count)
            return "a chunk that is answered in full is still noted";
        if (!mpx_relay_chunk(self->relay, chunk->id, &header, &payload))
            return "a chunk is noted that the relay doesn't have";
    }
    return mpx_relay_check(self->relay);
}

/* ---- from the disk ---------------------------------------------------------------- */

static mp_rc_t corrupt(void)
{
    return mpx_fault(MP_ECORRUPT, "the data directory has records of calls that don't fit");
}

bool mpx_account_is_head(mp_bytes_t key)
{
    return key.size == KEY_SESSION;
}

uint64_t mpx_account_number_of(mp_bytes_t key)
{
    return key.size < KEY_SESSION ? 0 : get_number(key.data);
}

mp_rc_t mpx_account_load_head(mpx_account_t *self, mp_bytes_t key, mp_bytes_t value)
{
    const unsigned char *at = value.data;
    bool old = value.size == HEAD_BYTES_ONCE;
    if ((value.size != HEAD_BYTES && !old) || !get_number(key.data))
        return corrupt();
    self->number = get_number(key.data);
    self->secret = get_number(at);
    self->kept = self->kept_sure = get_number(at + 8);
    self->told = self->told_sure = get_number(at + 16);
    self->heard = old ? self->told : get_number(at + 24);
    self->loaded = true;
    self->written = true;
    return MP_OK;
}

static mp_rc_t load_job(mpx_account_t *self, int64_t now, uint64_t id, mp_bytes_t open)
{
    mpx_header_t header = {.op = MPX_OP_OPEN, .job = id};
    mp_rc_t rc = mpx_relay_message(self->relay, now, &header, open);
    if (rc == MP_OK && !job_add(self, id, open))
        rc = MP_ENOMEM;
    return rc;
}

/* The count comes before its chunk. */
static mp_rc_t load_chunk(mpx_account_t *self, int64_t now, uint64_t id, mp_bytes_t value)
{
    mpx_header_t header;
    mp_bytes_t payload;
    bool apart = false;
    mp_rc_t rc = mpx_head_unpack(value, &header, &payload, &apart);
    if (rc != MP_OK || apart || header.op != MPX_OP_SUBMIT || header.chunk != id ||
        !find_job(self, header.job))
        return corrupt();
    achunk_t *chunk = find_chunk(self, id);
    if (!chunk)
        chunk = chunk_add(self, id, 0, 0);
    if (!chunk)
        return MP_ENOMEM;
    chunk->count = header.count;
    return mpx_relay_restore(self->relay, now, &header, payload, chunk->answered);
}

static mp_rc_t load_answered(mpx_account_t *self, uint64_t id, mp_bytes_t value)
{
    if (value.size != 8)
        return corrupt();
    return chunk_add(self, id, 0, (uint32_t)get_number(value.data)) ? MP_OK : MP_ENOMEM;
}

static mp_rc_t load_letter(mpx_account_t *self, uint64_t number, mp_bytes_t value)
{
    mpx_header_t header;
    mp_bytes_t payload;
    bool apart = false;
    mp_rc_t rc = mpx_head_unpack(value, &header, &payload, &apart);
    if (rc != MP_OK || apart || number > self->told)
        return corrupt();
    return letter_add(self, number, &header, payload) ? MP_OK : MP_ENOMEM;
}

mp_rc_t mpx_account_load(mpx_account_t *self, int64_t now, mpx_bucket_t bucket, mp_bytes_t key,
                         mp_bytes_t value)
{
    const unsigned char *at = key.data;
    if (key.size != (bucket == MPX_BUCKET_CALL ? KEY_MAX : KEY_PART))
        return corrupt();
    uint64_t id = get_number(at + KEY_SESSION);
    mp_rc_t rc = MP_OK;
    if (bucket == MPX_BUCKET_JOB)
        rc = load_job(self, now, id, value);
    else if (bucket == MPX_BUCKET_RESULT)
        rc = load_letter(self, id, value);
    else if (at[KEY_PART] == ANSWERED)
        rc = load_answered(self, id, value);
    else
        rc = load_chunk(self, now, id, value);
    return rc == MP_EPROTO ? corrupt() : rc;
}
