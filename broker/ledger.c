#include "ledger.h"

#include "archive_disk.h"
#include "clock.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

struct mpx_ledger {
    mpx_ledger_options_t options;
    mpx_account_t *accounts; /* those that are gone: the longest first */
    uint32_t count;
    uint64_t last_serial;
    bool stale;            /* some are */
    int64_t retry_at;      /* to write one of those */
    uint64_t last_retried; /* its session */
};

enum {
    RETRY_MS = 500,        /* a full disk is tried again after that */
    JOIN_AGAIN_MS = 10000, /* for the workers of what was loaded, until they have found us */
    NAME_BYTES = 32
};

static void say(const mpx_ledger_t *self, const char *what, const mpx_account_t *account)
{
    char number[NAME_BYTES];
    snprintf(number, sizeof number, "%016llx", (unsigned long long)account->number);
    if (account->store)
        mpx_log(self->options.log, MP_LOG_INFO, what, "session", number, "client", account->name,
                NULL);
}

/* ---- accounts --------------------------------------------------------------------- */

static mp_rc_t relay_make(mpx_ledger_t *self, mpx_account_t *account)
{
    mpx_relay_options_t options = self->options.relay;
    options.send_self = account;
    options.send = mpx_account_send;
    options.client = (uint64_t)(uintptr_t)account;
    if (account->loaded)
        options.absent_ns = JOIN_AGAIN_MS * MPX_MS;
    return mpx_relay_new(self->options.engine, &options, &account->relay);
}

static mp_rc_t account_make(mpx_ledger_t *self, mpx_account_t **out)
{
    mpx_account_t *account = calloc(1, sizeof *account);
    if (!account)
        return MP_ENOMEM;
    account->send = self->options.send;
    account->until = MPX_NEVER;
    account->serial = ++self->last_serial;
    DL_APPEND(self->accounts, account);
    self->count++;
    *out = account;
    return MP_OK;
}

static void account_drop(mpx_ledger_t *self, int64_t now, mpx_account_t *account)
{
    DL_DELETE(self->accounts, account);
    self->count--;
    mpx_account_free(account, now);
}

/* What is on the disk of it must be seen to be gone first. */
static void account_end(mpx_ledger_t *self, int64_t now, mpx_account_t *account)
{
    mpx_account_clear(account, now);
    account->until = MPX_NEVER;
    if (!account->changed)
        account_drop(self, now, account);
}

static mpx_account_t *account_of(const mpx_ledger_t *self, uint64_t number)
{
    mpx_account_t *account;
    DL_FOREACH (self->accounts, account)
        if (account->number == number)
            return account;
    return NULL;
}

static void make_room(mpx_ledger_t *self, int64_t now)
{
    mpx_account_t *account, *next;
    DL_FOREACH_SAFE (self->accounts, account, next) {
        if (self->count < self->options.max_sessions)
            return;
        if (account->relay && !account->peer) {
            say(self, "session_crowded_out", account);
            account_end(self, now, account);
        }
    }
}

/* ---- the disk --------------------------------------------------------------------- */

typedef struct reading {
    mpx_ledger_t *ledger;
    int64_t now;
    mpx_bucket_t bucket;
    mpx_account_t *last; /* records of one session follow each other */
} reading_t;

static mp_rc_t load_head(reading_t *reading, mp_bytes_t key, mp_bytes_t value)
{
    mpx_ledger_t *self = reading->ledger;
    mpx_account_t *account = NULL;
    mp_rc_t rc = account_make(self, &account);
    if (rc == MP_OK)
        rc = mpx_account_load_head(account, key, value);
    if (rc == MP_OK)
        rc = relay_make(self, account);
    if (rc != MP_OK)
        return rc;
    account->store = self->options.store;
    account->until = mpx_deadline(reading->now, self->options.session_ms);
    snprintf(account->name, sizeof account->name, "of the last start");
    reading->last = account;
    return MP_OK;
}

static mp_rc_t load_one(void *arg, mp_bytes_t key, mp_bytes_t value)
{
    reading_t *reading = arg;
    uint64_t number = mpx_account_number_of(key);
    if (mpx_archive_disk_owns(key) && reading->bucket == MPX_BUCKET_JOB)
        return MP_OK;
    if (reading->bucket == MPX_BUCKET_JOB && mpx_account_is_head(key))
        return load_head(reading, key, value);
    if (!reading->last || reading->last->number != number)
        reading->last = account_of(reading->ledger, number);
    if (!reading->last || !number)
        return mpx_fault(MP_ECORRUPT, "the data directory has calls without a session");
    return mpx_account_load(reading->last, reading->now, reading->bucket, key, value);
}

static mp_rc_t load(mpx_ledger_t *self, int64_t now)
{
    static const mpx_bucket_t buckets[] = {MPX_BUCKET_JOB, MPX_BUCKET_CALL, MPX_BUCKET_RESULT};
    mp_rc_t rc = MP_OK;
    for (size_t i = 0; rc == MP_OK && i < sizeof buckets / sizeof *buckets; i++) {
        reading_t reading = {.ledger = self, .now = now, .bucket = buckets[i]};
        rc = mpx_store_read(self->options.store, buckets[i], load_one, &reading);
    }
    char count[NAME_BYTES];
    snprintf(count, sizeof count, "%u", self->count);
    if (rc == MP_OK && self->count)
        mpx_log(self->options.log, MP_LOG_INFO, "sessions_loaded", "sessions", count, NULL);
    return rc;
}

/* ---- life ------------------------------------------------------------------------- */

mp_rc_t mpx_ledger_new(const mpx_ledger_options_t *options, int64_t now, mpx_ledger_t **out)
{
    mpx_ledger_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a ledger");
    self->options = *options;
    mp_rc_t rc = options->store ? load(self, now) : MP_OK;
    if (rc != MP_OK)
        mpx_ledger_destroy(&self);
    else
        *out = self;
    return rc;
}

void mpx_ledger_destroy(mpx_ledger_t **self_p)
{
    mpx_ledger_t *self = *self_p;
    if (!self)
        return;
    while (self->accounts)
        account_drop(self, mpx_now(), self->accounts);
    free(self);
    *self_p = NULL;
}

/* ---- coming and going ------------------------------------------------------------- */

static void attach(mpx_account_t *account, mpx_peer_t *peer, mpx_peer_t **replaced)
{
    *replaced = account->peer;
    if (account->peer)
        account->peer->account = NULL;
    account->peer = peer;
    account->until = MPX_NEVER;
    peer->account = account;
    snprintf(account->name, sizeof account->name, "%s", peer->name);
}

static mp_rc_t let_in_new(mpx_ledger_t *self, int64_t now, mpx_peer_t *peer,
                          const mpx_hello_t *hello, mpx_welcome_t *welcome)
{
    mpx_peer_t *nobody;
    mpx_account_t *account = NULL;
    make_room(self, now);
    mp_rc_t rc = account_make(self, &account);
    if (rc == MP_OK)
        rc = relay_make(self, account);
    if (rc != MP_OK)
        return rc;
    if (hello->session && self->options.store) {
        account->number = hello->session;
        account->secret = hello->session_secret;
        account->store = self->options.store;
        welcome->durable = true;
        welcome->resumed = hello->kept == 0 && hello->had == 0;
    }
    attach(account, peer, &nobody);
    return MP_OK;
}

static mp_rc_t let_in_again(mpx_ledger_t *self, int64_t now, mpx_account_t *account,
                            mpx_peer_t *peer, const mpx_hello_t *hello, mpx_welcome_t *welcome,
                            mpx_peer_t **replaced)
{
    mp_rc_t rc = MP_OK;
    if (account->secret != hello->session_secret)
        return mpx_fault(MP_EPROTO, "the session's secret is wrong");
    welcome->durable = true;
    welcome->resumed = account->relay && mpx_account_can_resume(account, hello->kept, hello->had);
    attach(account, peer, replaced);
    if (!welcome->resumed) {
        mpx_account_clear(account, now);
        rc = relay_make(self, account);
    } else {
        mpx_account_resume(account, hello->had);
    }
    welcome->kept = account->kept_sure;
    say(self, welcome->resumed ? "session_resumed" : "session_begun_anew", account);
    return rc;
}

mp_rc_t mpx_ledger_let_in(mpx_ledger_t *self, int64_t now, mpx_peer_t *peer,
                          const mpx_hello_t *hello, mpx_welcome_t *welcome, mpx_peer_t **replaced)
{
    mpx_account_t *account =
        hello->session && self->options.store ? account_of(self, hello->session) : NULL;
    *replaced = NULL;
    if (!account)
        return let_in_new(self, now, peer, hello, welcome);
    return let_in_again(self, now, account, peer, hello, welcome, replaced);
}

void mpx_ledger_gone(mpx_ledger_t *self, int64_t now, mpx_peer_t *peer, bool for_good)
{
    mpx_account_t *account = peer->account;
    peer->account = NULL;
    if (!account)
        return;
    account->peer = NULL;
    if (for_good || !account->store || account->kept == 0) {
        account_end(self, now, account);
        return;
    }
    account->until = mpx_deadline(now, self->options.session_ms);
    DL_DELETE(self->accounts, account);
    DL_APPEND(self->accounts, account);
    say(self, "session_waits", account);
}

/* ---- turns ------------------------------------------------------------------------ */

static void end_late_ones(mpx_ledger_t *self, int64_t now)
{
    mpx_account_t *account, *next;
    DL_FOREACH_SAFE (self->accounts, account, next)
        if (account->until <= now) {
            say(self, "session_ended", account);
            account_end(self, now, account);
        }
}

mp_rc_t mpx_ledger_flush(mpx_ledger_t *self, int64_t now)
{
    mpx_account_t *account;
    end_late_ones(self, now);
    DL_FOREACH (self->accounts, account) {
        mp_rc_t rc = account->relay ? mpx_relay_flush(account->relay, now) : MP_OK;
        if (rc == MP_OK)
            rc = account->trouble;
        if (rc != MP_OK)
            return rc;
        mpx_account_write(account);
    }
    return MP_OK;
}

/* Those that are over first: that makes room. The others in turn: one may be too large. */
static mpx_account_t *next_stale(const mpx_ledger_t *self)
{
    mpx_account_t *account, *next = NULL, *first = NULL;
    DL_FOREACH (self->accounts, account) {
        if (!account->stale)
            continue;
        if (!account->relay)
            return account;
        if (!first || account->number < first->number)
            first = account;
        if (account->number > self->last_retried && (!next || account->number < next->number))
            next = account;
    }
    return next ? next : first;
}

/* By commits of their own, so that one that doesn't fit costs the others nothing. */
static void write_stale_ones(mpx_ledger_t *self, int64_t now)
{
    mpx_account_t *account;
    while (self->retry_at <= now && (account = next_stale(self))) {
        self->last_retried = account->number;
        if (mpx_account_rewrite(account) != MP_OK)
            self->retry_at = now + RETRY_MS * MPX_MS;
    }
}

void mpx_ledger_settle(mpx_ledger_t *self, int64_t now, mp_rc_t rc)
{
    mpx_account_t *account, *next;
    if (self->stale)
        write_stale_ones(self, now);
    else
        self->retry_at = now + RETRY_MS * MPX_MS;
    self->stale = false;
    DL_FOREACH_SAFE (self->accounts, account, next) {
        mpx_account_committed(account, rc);
        self->stale = self->stale || account->stale;
        if (!account->relay && !account->changed)
            account_drop(self, now, account);
        else
            mpx_account_tell(account);
    }
}

int64_t mpx_ledger_deadline(const mpx_ledger_t *self)
{
    int64_t until = self->stale ? self->retry_at : MPX_NEVER;
    const mpx_account_t *account;
    DL_FOREACH (self->accounts, account)
        until = mpx_earlier(until, account->until);
    return until;
}

void mpx_ledger_drain(mpx_ledger_t *self)
{
    mpx_account_t *account;
    DL_FOREACH (self->accounts, account)
        if (account->relay)
            mpx_relay_drain(account->relay);
}

uint64_t mpx_ledger_open_jobs(const mpx_ledger_t *self)
{
    uint64_t jobs = 0;
    const mpx_account_t *account;
    DL_FOREACH (self->accounts, account)
        if (account->relay && account->peer)
            jobs += mpx_relay_open_jobs(account->relay) - mpx_relay_waiting_jobs(account->relay);
    return jobs;
}

const mpx_account_t *mpx_ledger_accounts(const mpx_ledger_t *self)
{
    return self->accounts;
}

const char *mpx_ledger_check(const mpx_ledger_t *self)
{
    const mpx_account_t *account;
    const char *wrong = NULL;
    uint32_t count = 0;
    DL_FOREACH (self->accounts, account) {
        count++;
        if (!wrong && account->peer && account->peer->account != account)
            wrong = "a session's connection is another's";
        if (!wrong)
            wrong = mpx_account_check(account);
    }
    return !wrong && count != self->count ? "the sessions are miscounted" : wrong;
}
