/* archive_private.h: what the files of the archive share. */
#ifndef MPX_ARCHIVE_PRIVATE_H
#define MPX_ARCHIVE_PRIVATE_H

#include "archive.h"
#include "kept_job.h"
#include "morgue.h"

/* What DONE answers that nobody asked for. */
#define MPX_NOT_ASKED ((mpx_op_t)0)

/* A client's hold on a job. */
typedef struct mpx_handle {
    struct {
        uint64_t peer;
        uint64_t nonce;
    } name;
    mpx_peer_t *peer;
    mpx_kept_job_t *job;
    bool may_put;   /* it made the job, or has its key */
    bool hears;     /* what calls write */
    bool wants;     /* outcomes from want_first on */
    bool wants_end; /* to be told when all calls have ended */
    uint64_t want_first;
    uint64_t want_bytes;
    uint64_t unsaid_bytes;          /* of what calls wrote: it had no credit for it */
    struct mpx_handle *prev, *next; /* the job's others */
    bool unlisted;
    UT_hash_handle hh;
} mpx_handle_t;

/* An answer that waits for the commit. */
typedef struct mpx_reply {
    struct mpx_reply *prev, *next;
    mpx_peer_t *peer;
    mpx_op_t asked;
    mpx_header_t header;
    size_t size;
    unsigned char payload[];
} mpx_reply_t;

struct mpx_archive {
    mpx_archive_options_t options;
    mpx_kept_hooks_t hooks;
    mpx_kept_totals_t totals;
    mpx_kept_job_t *jobs; /* by number, which rises */
    mpx_kept_job_t *touched;
    mpx_kept_job_t *ids;   /* by owner and id */
    mpx_kept_job_t *keys;  /* by owner and key, those that have one */
    mpx_kept_job_t *found; /* while records are read: the last one's */
    uint64_t last_number;
    uint64_t sure_number; /* of the last one that is not refused any more */
    mpx_handle_t *handles;
    mpx_morgue_t morgue;
    mpx_reply_t *replies;
    mpx_buf_t scratch;
    int64_t next_expiry; /* not later than the first one's */
    int64_t retry_at;    /* a full disk is tried again */
    bool held;           /* all jobs, on the engine */
    bool starved;        /* somebody had no credit for what it wants */
    bool draining;
    bool stale;   /* the disk has not what it should */
    bool changed; /* since the last commit */
    mp_rc_t trouble;
};

enum {
    MPX_HANDLES_MAX = 4096, /* of one client */
    MPX_LIST_MAX = 256,     /* rows of one answer */
    MPX_GIVE_BYTES = 4 << 20
};

/* From now on it is told what calls write, if it `hears`. */
void mpx_archive_listen(mpx_handle_t *handle, bool hears);

/* What the next flush says, if it isn't MP_OK. */
void mpx_archive_note(mpx_archive_t *self, mp_rc_t rc);
/* What is put down, if it is just now. */
bool mpx_archive_is_put_down(mpx_archive_t *self);

/* Whether that is its own, or it may see what is others': else there is nothing, for it. */
bool mpx_archive_shows(const mpx_peer_t *peer, const char *owner);
/* An owner's. */
mpx_kept_job_t *mpx_archive_find_id(const mpx_archive_t *self, const char *owner, const char *id);
mpx_kept_job_t *mpx_archive_find_key(const mpx_archive_t *self, const char *owner, const char *key);
void mpx_archive_say(const mpx_archive_t *self, const char *what, const mpx_kept_job_t *job);

/* Whether nothing is left to come for, or to run. */
bool mpx_archive_is_used_up(const mpx_kept_job_t *job);
/* Somebody can put further calls, or may come back to. */
bool mpx_archive_is_open(const mpx_kept_job_t *job);
/* Of one that was touched: from when on it is forgotten, and not waited for its maker. */
void mpx_archive_set_times(mpx_archive_t *self, int64_t now, mpx_kept_job_t *job);
/* Somebody takes of it, so that its time begins anew: but not for room, if that makes none. */
void mpx_archive_taken(mpx_archive_t *self, mpx_kept_job_t *job);
/* What nobody has come for is forgotten, and while calls wait for room one job at a time is given
 * up. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_archive_expire(mpx_archive_t *self, int64_t now);
/* At --kept-bytes calls wait until there is room. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_archive_balance(mpx_archive_t *self, int64_t now);

/* The body of a Keep that was checked. MP_OK; MP_ENOMEM; MP_EPROTO. */
mp_rc_t mpx_archive_make(mpx_archive_t *self, int64_t now, const char *owner, mp_bytes_t body,
                         mpx_kept_job_t **out);
void mpx_archive_drop(mpx_archive_t *self, int64_t now, mpx_kept_job_t *job);
void mpx_archive_touch(mpx_archive_t *self, mpx_kept_job_t *job);
/* If it has changed: its counts, and its state. */
void mpx_archive_put_head(mpx_archive_t *self, mpx_kept_job_t *job);

/* MP_OK; MP_ELIMIT: inputs of so many bytes can't be kept, with the words for it. */
mp_rc_t mpx_archive_check_room(const mpx_archive_t *self, uint64_t bytes);
/* As mpx_kept_job_put, and put down. */
mp_rc_t mpx_archive_put(mpx_archive_t *self, int64_t now, mpx_kept_job_t *job,
                        const mpx_header_t *header, mp_bytes_t payload);
void mpx_archive_release(mpx_archive_t *self, mpx_kept_job_t *job, uint64_t first);

/* Handles. */
mpx_handle_t *mpx_archive_handle(const mpx_archive_t *self, const mpx_peer_t *peer, uint64_t nonce);
mp_rc_t mpx_archive_handle_add(mpx_archive_t *self, mpx_peer_t *peer, uint64_t nonce,
                               mpx_kept_job_t *job, mpx_handle_t **out);
void mpx_archive_handle_drop(mpx_archive_t *self, mpx_handle_t *handle);
/* Its job goes: it is told so, if it waits for something. */
void mpx_archive_handle_lost(mpx_archive_t *self, const mpx_handle_t *handle);

/* Answers, after the commit. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_archive_reply(mpx_archive_t *self, mpx_peer_t *peer, mpx_op_t asked,
                          const mpx_header_t *header, mp_bytes_t payload);
mp_rc_t mpx_archive_done(mpx_archive_t *self, mpx_peer_t *peer, mpx_op_t asked, uint64_t nonce,
                         uint64_t first);
void mpx_archive_reply_drop(mpx_archive_t *self, mpx_reply_t *reply);
/* With the code's words, those of mp_errmsg(). MP_ENOMEM is passed on instead. */
mp_rc_t mpx_archive_refuse(mpx_archive_t *self, mpx_peer_t *peer, mpx_op_t asked, uint64_t nonce,
                           mp_rc_t code);
mp_rc_t mpx_archive_inform(mpx_archive_t *self, mpx_peer_t *peer, mpx_op_t asked, uint64_t nonce,
                           const mpx_kept_job_t *job, bool fresh);
void mpx_archive_describe(const mpx_kept_job_t *job, int64_t now, mpx_kept_info_t *out);

/* A JOB_DEAD: archive_dead.c. */
mp_rc_t mpx_archive_dead(mpx_archive_t *self, int64_t now, mpx_peer_t *peer,
                         const mpx_header_t *header, mp_bytes_t payload);

#endif
