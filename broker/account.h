/* account.h: a client's session at the broker: its relay, and what of it must last.
 *
 *     client --OPEN SUBMIT CANCEL CLOSE--> account --> relay --> engine
 *            <--RESULT ERROR-------------- letters <--
 *
 * With a store, each of these messages is put down there as it comes, and told of to the other side
 * only after the commit: `kept` counts those of the client's, letters are those of ours that the
 * client has not acknowledged. Without one, or for a client that doesn't want it, an account is
 * just a relay.
 *
 * On the disk, numbers with the highest byte first:
 *
 *     JOB     session                        secret, kept, told
 *     JOB     session, job                   the OPEN's body
 *     CALL    session, chunk, 0              how many of its calls are answered, if any
 *     CALL    session, chunk, 1              the SUBMIT
 *     RESULT  session, number of the letter  the RESULT or ERROR
 *
 * When a commit fails the account is stale: nothing is put down, until all of it is written anew.
 */
#ifndef MPX_ACCOUNT_H
#define MPX_ACCOUNT_H

#include "relay.h"
#include "store.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct mpx_aletter {
    struct mpx_aletter *prev, *next;
    uint64_t number; /* from 1 */
    mpx_header_t header;
    size_t size;
    unsigned char payload[];
} mpx_aletter_t;

typedef struct mpx_account {
    struct mpx_account *prev, *next;
    uint64_t serial; /* how it is called by people: 1, 2, ... since the broker's start */
    uint64_t number; /* 0: it ends with its connection */
    uint64_t secret;
    char name[128];        /* of the client, for logs */
    struct mpx_peer *peer; /* NULL: it is gone, until then */
    int64_t until;
    mpx_relay_t *relay; /* NULL: it is over, but the disk doesn't know yet */
    mpx_store_t *store; /* NULL: nothing is put down */
    mp_rc_t (*send)(struct mpx_peer *peer, const mpx_header_t *header, mp_bytes_t payload);
    mpx_aletter_t *letters;
    mpx_aletter_t *unsent; /* the first that was not sent by this connection */
    struct mpx_ajob *jobs;
    struct mpx_achunk *chunks;
    uint64_t kept, kept_sure, kept_said; /* messages of the client: had, committed, told about */
    uint64_t told, told_sure;            /* letters: made, committed */
    uint64_t told_loaded; /* letters as of the start, until the client has come; else as told */
    uint64_t skip;        /* messages that the client repeats */
    bool written;         /* there may be something of it on the disk */
    bool changed;         /* since the last commit */
    bool stale;
    bool loaded;     /* from the disk, and nobody has come */
    mp_rc_t trouble; /* a letter could not be made */
} mpx_account_t;

/* What to give to its relay, as mpx_relay_options_t.send and send_self. */
mp_rc_t mpx_account_send(void *account, const mpx_header_t *header, mp_bytes_t payload);

/* A message of the client's. As mpx_relay_message. */
mp_rc_t mpx_account_message(mpx_account_t *self, int64_t now, const mpx_header_t *header,
                            mp_bytes_t payload);

/* Whether a client that knows of so many kept messages, and had so many letters, can go on here. */
bool mpx_account_can_resume(const mpx_account_t *self, uint64_t kept, uint64_t had);
/* It has a new connection, which is to get what it had not. */
void mpx_account_resume(mpx_account_t *self, uint64_t had);

/* Put down what has changed but for what was put down already. */
void mpx_account_write(mpx_account_t *self);
/* What was put down is committed (MP_OK), or is not. */
void mpx_account_committed(mpx_account_t *self, mp_rc_t rc);
/* Of a stale one: put down all of it, by a commit of its own. As mpx_store_commit. */
mp_rc_t mpx_account_rewrite(mpx_account_t *self);
/* Send what may be told. */
void mpx_account_tell(mpx_account_t *self);

/* End all of it, here and on the disk; the counts are 0. */
void mpx_account_clear(mpx_account_t *self, int64_t now);
/* The memory only. */
void mpx_account_free(mpx_account_t *self, int64_t now);

/* Records of a store, in the order of buckets and keys. `find` knows the account of a number.
 * MP_OK; MP_ECORRUPT; MP_ENOMEM. */
bool mpx_account_is_head(mp_bytes_t key);
mp_rc_t mpx_account_load_head(mpx_account_t *self, mp_bytes_t key, mp_bytes_t value);
uint64_t mpx_account_number_of(mp_bytes_t key);
mp_rc_t mpx_account_load(mpx_account_t *self, int64_t now, mpx_bucket_t bucket, mp_bytes_t key,
                         mp_bytes_t value);

#endif
