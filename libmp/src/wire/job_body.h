/* job_body.h: the bodies of messages about jobs that a broker keeps, and about dead letters.
 *
 * As the bodies of wire.h; bytes point into *arena too.
 */
#ifndef MPX_JOB_BODY_H
#define MPX_JOB_BODY_H

#include "wire.h"

/* Of an id, a key, and what requeues at once. */
enum { MPX_JOB_ID_MAX = 64, MPX_JOB_KEY_MAX = 255, MPX_DEAD_NUMBERS_MAX = 4096 };

/* The kinds of JOB_PUT, JOB_TAKE, JOB_FREE and JOB_CANCEL. */
enum { MPX_JOB_LAST = 1, MPX_JOB_END = 1, MPX_JOB_LEAVE = 1, MPX_JOB_FORGET = 1 };

typedef struct mpx_keep {
    const char *id;
    const char *key;
    uint64_t token;
    bool attach;
    uint32_t keep_ms;
    mp_bytes_t open; /* a packed mpx_open_t */
    uint32_t retries;
    uint32_t retry_on;
    uint32_t retry_delay_ms;
    uint32_t max_crashes;
    uint32_t chunk_calls;
    bool dead_letters;
    uint32_t delay_ms;
    uint32_t deadline_ms;
    bool hears; /* is told what calls write */
    const char *owner;
    bool names_owner;
} mpx_keep_t;
mp_rc_t mpx_keep_pack(const mpx_keep_t *self, mpx_buf_t *out);
mp_rc_t mpx_keep_unpack(mp_bytes_t body, mpx_keep_t *out, void **arena);

typedef struct mpx_kept_info {
    uint64_t number;
    const char *id;
    const char *key;
    const char *task;
    const char *signature;
    const char *label;
    uint64_t calls;
    uint64_t ended;
    uint64_t failed;
    uint64_t freed;
    bool closed;
    bool complete;
    bool open;
    bool cancelled;
    bool fresh;
    uint32_t handles;
    uint64_t bytes;
    uint64_t created_ms;
    uint64_t left_ms;
    const char *owner;
} mpx_kept_info_t;
mp_rc_t mpx_kept_info_pack(const mpx_kept_info_t *self, mpx_buf_t *out);
mp_rc_t mpx_kept_info_unpack(mp_bytes_t body, mpx_kept_info_t *out, void **arena);

typedef enum mpx_dead_what {
    MPX_DEAD_LIST = 1,
    MPX_DEAD_SHOW,
    MPX_DEAD_REQUEUE,
    MPX_DEAD_DROP
} mpx_dead_what_t;

typedef struct mpx_dead_order {
    mpx_dead_what_t what;
    uint64_t after;
    uint32_t count;
    const uint64_t *numbers; /* that rise */
    size_t numbers_count;    /* 0: all */
    const char *task;
    const char *id;
    uint64_t token;
} mpx_dead_order_t;
mp_rc_t mpx_dead_order_pack(const mpx_dead_order_t *self, mpx_buf_t *out);
mp_rc_t mpx_dead_order_unpack(mp_bytes_t body, mpx_dead_order_t *out, void **arena);

typedef struct mpx_dead_letter {
    uint64_t number;
    const char *job;
    const char *label;
    const char *task;
    const char *signature;
    uint64_t index;
    uint64_t time_ms;
    int32_t code;
    const char *message;
    const char *host;
    uint32_t pid;
    uint32_t attempt;
    uint64_t input_bytes;
    const char *owner;
} mpx_dead_letter_t;
mp_rc_t mpx_dead_letter_pack(const mpx_dead_letter_t *self, mpx_buf_t *out);
mp_rc_t mpx_dead_letter_unpack(mp_bytes_t body, mpx_dead_letter_t *out, void **arena);

/* Whether an id may be one: 1 to MPX_JOB_ID_MAX letters, digits, and any of ._:-, no dash first. */
bool mpx_job_id_valid(const char *id);

#endif
