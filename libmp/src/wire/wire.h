/* wire.h: messages <-> bytes. Sees no socket and keeps no state.
 *
 * A message is a head and a payload. The head is
 *
 *     u8 version (1) | u8 flags | u16 little-endian length | protobuf Header | zeros
 *
 * padded with zeros to a multiple of 16 bytes, so that the payload behind it is as
 * aligned as the message itself. With MPX_FLAG_APART the payload travels in a frame
 * of its own instead. Unknown versions, flags and ops are refused. PROTOCOL.md has the
 * whole story; proto/mp.proto the fields.
 *
 * The header is packed and unpacked by hand (it is on the path of every call; the
 * bytes are the same as protobuf's, which a test proves); bodies by protobuf-c.
 */
#ifndef MPX_WIRE_H
#define MPX_WIRE_H

#include "buf.h"
#include <mp/error.h>
#include <mp/task.h>
#include <stdbool.h>
#include <stdint.h>

#define MPX_WIRE_VERSION 1
#define MPX_FLAG_APART   1u
#define MPX_HEAD_MAX     144 /* 4 + 128 rounded up */
#define MPX_BODY_MAX     (64u * 1024u)
#define MPX_STRING_MAX   4096u /* of one string in a body */
#define MPX_TASKS_MAX    4096u /* in a Hello: offered and refused ones together */

typedef enum mpx_op {
    MPX_OP_HELLO = 1,
    MPX_OP_WELCOME,
    MPX_OP_ERROR,
    MPX_OP_PING,
    MPX_OP_PONG,
    MPX_OP_OPEN,
    MPX_OP_SUBMIT,
    MPX_OP_STARTED,
    MPX_OP_RESULT,
    MPX_OP_CANCEL,
    MPX_OP_CLOSE,
    MPX_OP_ACK,
    MPX_OP_DRAIN,
    MPX_OP_BYE,
    MPX_OP_KNOCK,
    MPX_OP_CHALLENGE,
    MPX_OP_PROOF,
    MPX_OP_ADMIT,
    MPX_OP_PUT,
    MPX_OP_ADMITTED,
    MPX_OP_RESERVE,
    MPX_OP_GRANT,
    MPX_OP_TAKE,
    MPX_OP_GIVE,
    MPX_OP_SETTLE,
    MPX_OP_WITHDRAW,
    MPX_OP_WITHDRAWN,
    MPX_OP_RETURN,
    MPX_OP_ASK,
    MPX_OP_TELL,
    MPX_OP_WATCH,
    MPX_OP_READY,
    MPX_OP_JOIN,
    MPX_OP_JOINED,
    MPX_OP_DATA,
    MPX_OP_CREDIT,
    MPX_OP_PROGRESS,
    MPX_OP_CALL,
    MPX_OP_ANSWER,
    MPX_OP_RECALL = 50,
    MPX_OP_RETURNED,
    MPX_OP_SURVEY = 60,
    MPX_OP_CENSUS,
    MPX_OP_KEPT = 64,
    MPX_OP_JOB_KEEP = 66,
    MPX_OP_JOB_INFO,
    MPX_OP_JOB_PUT,
    MPX_OP_JOB_TAKE,
    MPX_OP_JOB_GIVE,
    MPX_OP_JOB_FREE,
    MPX_OP_JOB_DONE,
    MPX_OP_JOB_CANCEL,
    MPX_OP_JOB_LIST,
    MPX_OP_JOB_DEAD,
    MPX_OP_JOB_SAID,
    MPX_OP_STAT = 80,
    MPX_OP_FACTS,
    MPX_OP_LATER,
    MPX_OP_DISMISS = 90,
    MPX_OP_DISMISSED,
    MPX_OP_OUTPUT,
    MPX_OP_SHIP,
    MPX_OP_SHIPPED,
    MPX_OP_FETCH,
    MPX_OP_PIECE,
    MPX_OP_OFFER,
    MPX_OP_END /* one past the last */
} mpx_op_t;

typedef struct mpx_header {
    mpx_op_t op;
    uint64_t job;
    uint64_t chunk;
    uint64_t first;
    uint32_t count;
    uint32_t attempt;
    uint32_t item_bytes;
    uint64_t busy_ns;
    int32_t code;
    uint64_t nonce;
    uint64_t bytes;
    uint32_t kind;
    uint32_t deadline_ms; /* of the calls, from now; 0: none */
} mpx_header_t;

/* The name of an op, "op 77" never: NULL-free, "?" for an unknown one. */
const char *mpx_op_name(mpx_op_t op);

/* Write the head; returns its length, a multiple of 16. Cannot fail. */
size_t mpx_head_pack(const mpx_header_t *header, bool payload_apart, uint8_t out[MPX_HEAD_MAX]);

/* Read a head from the first bytes of a message.
 * payload  what follows the head in the same message.
 * apart    the payload is in the next frame instead, and nothing follows here.
 * MP_OK; MP_EVERSION; MP_EPROTO with the reason in mp_errmsg(). */
mp_rc_t mpx_head_unpack(mp_bytes_t message, mpx_header_t *out, mp_bytes_t *payload, bool *apart);

/* Items of a SUBMIT payload and values of a uniform RESULT: item_bytes each, or with
 * item_bytes 0 a u32 length before each. `rest` moves on. MP_OK; MP_EOF nothing left;
 * MP_EPROTO cut short. */
mp_rc_t mpx_item_next(mp_bytes_t *rest, uint32_t item_bytes, mp_bytes_t *out);
mp_rc_t mpx_item_add(mpx_buf_t *out, mp_bytes_t item); /* with its length */
/* Whether a payload is exactly `count` items. */
bool mpx_items_valid(mp_bytes_t payload, uint32_t item_bytes, uint32_t count);

/* Records of a RESULT payload with item_bytes 0:
 * i32 rc | u32 detail length | u32 value length | detail (a Failure) | value.
 * Negative codes that this version doesn't know are kept, so that newer peers may have
 * more of them; positive ones are MP_EPROTO. */
typedef struct mpx_record {
    mp_rc_t rc;
    mp_bytes_t detail; /* packed Failure; empty for MP_OK */
    mp_bytes_t value;
} mpx_record_t;
mp_rc_t mpx_record_next(mp_bytes_t *rest, mpx_record_t *out);
mp_rc_t mpx_record_add(mpx_buf_t *out, const mpx_record_t *record);
bool mpx_records_valid(mp_bytes_t payload, uint32_t count);

/* Parcels: items of queues, one after another, each with a word before it: its size, and in
 * the two highest bits its kind. */
#define MPX_PARCEL_MAX  ((1u << 30) - 1)
#define MPX_PARCEL_HEAD 4u
void mpx_parcel_head(uint8_t out[MPX_PARCEL_HEAD], uint32_t kind, size_t size);
/* `rest` moves on. MP_OK; MP_EOF nothing left; MP_EPROTO cut short, or of no kind. */
mp_rc_t mpx_parcel_next(mp_bytes_t *rest, uint32_t *kind, mp_bytes_t *out);

/* Operations on objects, one after another in a CALL:
 *
 *     u32 size of what follows the head | u16 method | u16 flags | u64 object | i32 wait_ms | 0
 *
 * What follows are the method's arguments, each a parcel. GUARDED: before them two
 * numbers, the lock's and its token. */
#define MPX_OPERATION_HEAD    24u
#define MPX_OPERATION_GUARDED 1u
typedef struct mpx_operation {
    uint16_t method;
    uint16_t flags;
    int32_t wait_ms; /* -1: for ever */
    uint64_t object; /* 0: the manager itself */
    mp_bytes_t arguments;
} mpx_operation_t;
void mpx_operation_head(uint8_t out[MPX_OPERATION_HEAD], const mpx_operation_t *operation);
/* `rest` moves on. MP_OK; MP_EOF nothing left; MP_EPROTO cut short, or of unknown flags. */
mp_rc_t mpx_operation_next(mp_bytes_t *rest, mpx_operation_t *out);

/* Their answers in an ANSWER: u32 size of what follows | i32 rc, and parcels: of a failure its
 * words, else the results. */
#define MPX_ANSWER_HEAD 8u
typedef struct mpx_answer {
    mp_rc_t rc;
    mp_bytes_t results;
} mpx_answer_t;
void mpx_answer_head(uint8_t out[MPX_ANSWER_HEAD], mp_rc_t rc, size_t size);
/* `rest` moves on. MP_OK; MP_EOF nothing left; MP_EPROTO. */
mp_rc_t mpx_answer_next(mp_bytes_t *rest, mpx_answer_t *out);

/* Parcels of arguments and results: an item; a number, which is one of 8 bytes. */
mp_rc_t mpx_parcel_add(mpx_buf_t *out, uint32_t kind, mp_bytes_t item);
mp_rc_t mpx_parcel_add_number(mpx_buf_t *out, uint64_t number);
/* MP_OK; MP_EOF nothing left; MP_EPROTO. */
mp_rc_t mpx_parcel_next_number(mp_bytes_t *rest, uint64_t *out);

/* Bodies. _pack appends to a buffer: MP_OK, MP_ETOOLARGE, MP_ENOMEM. _unpack fills the
 * struct, whose strings point into *arena, which the caller frees with free(): MP_OK,
 * MP_EPROTO, MP_ENOMEM.
 *
 * Both ways strings come out as valid UTF-8 without control characters: what isn't is
 * replaced by '?', so they can be shown to people, and read in any language. Lines keep their
 * newlines and tabs. A NUL in a string is MP_EPROTO: it would hide the rest of a name. NULL is
 * packed as "", and never comes out. The messages of a problem, a failure and a progress are cut
 * at MPX_STRING_MAX; so are lines, at their beginning. */
typedef struct mpx_offer {
    const char *name;
    const char *signature;
} mpx_offer_t;

typedef enum mpx_role { MPX_ROLE_CLIENT = 1, MPX_ROLE_WORKER, MPX_ROLE_EXECUTOR } mpx_role_t;

typedef struct mpx_hello {
    mpx_role_t role;
    uint32_t version_min;
    uint32_t version_max;
    const char *software;
    const char *host;
    uint32_t pid;
    const char *name;
    uint32_t slots;
    const mpx_offer_t *tasks;
    size_t tasks_count;
    const char *const *refused;
    size_t refused_count;
    uint64_t session; /* of a client that may come back; 0: it can't */
    uint64_t session_secret;
    uint64_t kept;
    uint64_t had;
    const char *have; /* of a worker, see traits.h */
    bool returns;
    bool looks;            /* of a client: it only asks */
    uint64_t module_bytes; /* of a worker: the largest module that it takes; 0: none */
} mpx_hello_t;
mp_rc_t mpx_hello_pack(const mpx_hello_t *self, mpx_buf_t *out);
mp_rc_t mpx_hello_unpack(mp_bytes_t body, mpx_hello_t *out, void **arena);

typedef struct mpx_welcome {
    uint32_t version;
    const char *software;
    uint64_t session;
    uint64_t max_message_bytes;
    uint64_t submit_bytes;
    uint64_t result_bytes;
    uint32_t workers;
    uint32_t executors;
    bool durable;
    bool resumed;
    uint64_t kept;
} mpx_welcome_t;
mp_rc_t mpx_welcome_pack(const mpx_welcome_t *self, mpx_buf_t *out);
mp_rc_t mpx_welcome_unpack(mp_bytes_t body, mpx_welcome_t *out, void **arena);

typedef struct mpx_problem {
    const char *message;
} mpx_problem_t;
mp_rc_t mpx_problem_pack(const mpx_problem_t *self, mpx_buf_t *out);
mp_rc_t mpx_problem_unpack(mp_bytes_t body, mpx_problem_t *out, void **arena);

typedef struct mpx_open {
    const char *task;
    const char *signature;
    uint32_t call_limit_ms;
    uint32_t wait_ms;
    uint32_t soft_limit_ms;
    uint32_t grace_ms;
    int32_t priority;
    const char *label;
    uint32_t weight;
    const char *needs;     /* see traits.h */
    uint32_t output_bytes; /* of each call's output; 0: it isn't wanted */
    bool nested;
} mpx_open_t;
mp_rc_t mpx_open_pack(const mpx_open_t *self, mpx_buf_t *out);
mp_rc_t mpx_open_unpack(mp_bytes_t body, mpx_open_t *out, void **arena);

typedef struct mpx_failure {
    const char *message;
    const char *host;
    uint32_t pid;
    uint32_t attempt;
    int32_t code;
    uint32_t signal;
    uint32_t exit_status;
    const char *error_output; /* lines */
    const char *backtrace;    /* lines */
} mpx_failure_t;
mp_rc_t mpx_failure_pack(const mpx_failure_t *self, mpx_buf_t *out);
mp_rc_t mpx_failure_unpack(mp_bytes_t body, mpx_failure_t *out, void **arena);

typedef struct mpx_progress {
    uint64_t done;
    uint64_t total;
    const char *text;
} mpx_progress_t;
mp_rc_t mpx_progress_pack(const mpx_progress_t *self, mpx_buf_t *out);
mp_rc_t mpx_progress_unpack(mp_bytes_t body, mpx_progress_t *out, void **arena);

/* How executors have come and gone: how many were started, and of these, why so many ended. */
typedef struct mpx_turnover {
    uint64_t started;
    uint64_t retired; /* by their own will */
    uint64_t stopped; /* for a call that was cancelled or out of time */
    uint64_t crashed; /* otherwise */
    uint64_t memory;  /* for what they had taken of it */
    uint64_t lost;    /* with their worker */
} mpx_turnover_t;
#define MPX_TURNOVER_FIELDS(X) X(started) X(retired) X(stopped) X(crashed) X(memory) X(lost)

typedef struct mpx_status {
    const char *software;
    uint64_t uptime_ms;
    uint32_t workers;
    uint32_t executors;
    uint32_t clients;
    uint64_t calls_queued;
    uint64_t calls_running;
    mpx_turnover_t turnover; /* of all executors; from a worker, of its own */
    bool draining;           /* a broker; the rest is what it waits for, and how long at most */
    uint64_t open_jobs;
    uint64_t drain_ms;
} mpx_status_t;
mp_rc_t mpx_status_pack(const mpx_status_t *self, mpx_buf_t *out);
mp_rc_t mpx_status_unpack(mp_bytes_t body, mpx_status_t *out, void **arena);

typedef struct mpx_executor_stat {
    uint64_t id;
    uint32_t pid;
    uint32_t given;
    uint64_t calls;
    uint64_t start_ns;
    uint64_t init_ns;
    uint64_t working_ns;
    uint64_t waiting_ns;
    uint64_t memory_bytes;
    const char *host;
    const char *worker;
    uint64_t session;
} mpx_executor_stat_t;
mp_rc_t mpx_executor_stat_pack(const mpx_executor_stat_t *self, mpx_buf_t *out);
mp_rc_t mpx_executor_stat_unpack(mp_bytes_t body, mpx_executor_stat_t *out, void **arena);

/* Plain payloads. What a call wrote to stdout or stderr, and where. The host is laundered, and cut
 * if need be. MP_OK; MP_ENOMEM; MP_EPROTO. */
#define MPX_STDOUT         1u /* header.kind */
#define MPX_STDERR         2u
#define MPX_HOST_MAX       256u
#define MPX_OUTPUT_MAX     4096u /* of what was written, in one message */
#define MPX_OUTPUT_DEFAULT (1u << 20)
mp_rc_t mpx_output_pack(mpx_buf_t *out, const char *host, mp_bytes_t written);
mp_rc_t mpx_output_unpack(mp_bytes_t payload, char host[MPX_HOST_MAX], mp_bytes_t *written);

/* A module that is shipped: its hash, and its name for people. */
#define MPX_HASH_BYTES  32u
#define MPX_PIECE_BYTES (256u * 1024u) /* at most, of a PIECE */
typedef struct mpx_ship {
    uint8_t hash[MPX_HASH_BYTES];
    char name[128];
} mpx_ship_t;
mp_rc_t mpx_ship_pack(mpx_buf_t *out, const mpx_ship_t *ship);
mp_rc_t mpx_ship_unpack(mp_bytes_t payload, mpx_ship_t *out);

/* Copy bytes as a string that people can be shown; cut at size - 1. */
void mpx_plain_text(mp_bytes_t bytes, char *out, size_t size);

#define MPX_NONCE_BYTES 32
#define MPX_PROOF_BYTES 32

typedef enum mpx_door { MPX_DOOR_QUEUE = 1, MPX_DOOR_LISTENER, MPX_DOOR_MANAGER } mpx_door_t;

typedef struct mpx_knock {
    uint32_t version_min;
    uint32_t version_max;
    const char *software;
    const char *host;
    uint32_t pid;
    uint32_t door;
    uint64_t object;
    uint64_t secret;
    uint8_t nonce[MPX_NONCE_BYTES];
    uint64_t tenant; /* of a manager: who it was before */
    uint64_t tenant_secret;
} mpx_knock_t;
mp_rc_t mpx_knock_pack(const mpx_knock_t *self, mpx_buf_t *out);
mp_rc_t mpx_knock_unpack(mp_bytes_t body, mpx_knock_t *out, void **arena);

typedef struct mpx_challenge {
    uint8_t nonce[MPX_NONCE_BYTES];
    uint8_t proof[MPX_PROOF_BYTES];
} mpx_challenge_t;
mp_rc_t mpx_challenge_pack(const mpx_challenge_t *self, mpx_buf_t *out);
mp_rc_t mpx_challenge_unpack(mp_bytes_t body, mpx_challenge_t *out, void **arena);

typedef struct mpx_proof {
    uint8_t proof[MPX_PROOF_BYTES];
} mpx_proof_t;
mp_rc_t mpx_proof_pack(const mpx_proof_t *self, mpx_buf_t *out);
mp_rc_t mpx_proof_unpack(mp_bytes_t body, mpx_proof_t *out, void **arena);

typedef struct mpx_admit {
    uint32_t version;
    const char *software;
    uint32_t window_items;
    uint64_t window_bytes;
    uint64_t max_item_bytes;
    bool joinable;
    bool explicitly;
    uint64_t tenant; /* of a manager's, from here on */
    uint64_t secret;
    uint64_t server;
    uint32_t lease_ms;
    bool resumed;
} mpx_admit_t;
mp_rc_t mpx_admit_pack(const mpx_admit_t *self, mpx_buf_t *out);
mp_rc_t mpx_admit_unpack(mp_bytes_t body, mpx_admit_t *out, void **arena);

typedef struct mpx_queue_stat {
    uint64_t size;
    uint64_t prefetched;
    uint64_t waiting;
    uint64_t bytes;
    uint64_t unfinished;
    uint64_t maxsize;
    uint64_t peers;
    uint64_t put;
    uint64_t got;
    uint64_t redelivered;
} mpx_queue_stat_t;
mp_rc_t mpx_queue_stat_pack(const mpx_queue_stat_t *self, mpx_buf_t *out);
mp_rc_t mpx_queue_stat_unpack(mp_bytes_t body, mpx_queue_stat_t *out, void **arena);

#endif
