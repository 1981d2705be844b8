/* body.c: the bodies of the rarer messages, by protobuf-c.
 *
 * A body's size, strings and counts are checked before protobuf-c sees it (utf8.h). What it
 * allocates is then bounded by a constant times the body's size; a budget makes sure of that.
 * What it returns is copied into one block of ours.
 */
#include "wire.h"

#include "body_private.h"
#include "fault.h"
#include "utf8.h"

#include "mp.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { BUDGET_BYTES = 4 * 1024 * 1024, ALLOC_HEAD = 16 };

/* ---- unpacking within a budget ---------------------------------------------------------- */

typedef mpx_body_budget_t budget_t;

static void *budget_alloc(void *data, size_t size)
{
    budget_t *budget = data;
    if (size > budget->left)
        return NULL;
    size_t *block = malloc(size + ALLOC_HEAD);
    if (!block) {
        budget->no_memory = true;
        return NULL;
    }
    budget->left -= size;
    *block = size;
    return (unsigned char *)block + ALLOC_HEAD;
}

static void budget_free(void *data, void *pointer)
{
    if (!pointer)
        return;
    budget_t *budget = data;
    size_t *block = (size_t *)(void *)((unsigned char *)pointer - ALLOC_HEAD);
    budget->left += *block;
    free(block);
}

/* ---- one block for the strings ------------------------------------------------------------ */

typedef struct arena {
    unsigned char *block;
    size_t used;
    size_t size;
} arena_t;

static bool arena_new(arena_t *self, size_t size)
{
    self->block = malloc(size ? size : 1);
    self->size = size;
    self->used = 0;
    return self->block != NULL;
}

static void *arena_take(arena_t *self, size_t size)
{
    void *at = self->block + self->used;
    self->used += (size + 15) & ~(size_t)15;
    return at;
}

static size_t arena_size(const char *string)
{
    return (strlen(string) + 1 + 15) & ~(size_t)15;
}

static char *arena_lines(arena_t *self, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_take(self, size);
    memcpy(copy, text, size);
    return copy;
}

static const char *arena_string(arena_t *self, const char *string)
{
    char *copy = arena_lines(self, string);
    mpx_utf8_launder((uint8_t *)copy, strlen(copy));
    return copy;
}

/* ---- whole bodies ----------------------------------------------------------------------- */

static mp_rc_t no_memory(void)
{
    return mpx_fault(MP_ENOMEM, "out of memory for a message");
}

/* Why unpack returned NULL. */
static mp_rc_t malformed(const budget_t *budget, const char *what)
{
    if (budget->no_memory)
        return no_memory();
    return mpx_fault(MP_EPROTO, "the body of a %s is malformed", what);
}

/* NULL: malformed, or too much of it for the budget. */
static void *unpack(const ProtobufCMessageDescriptor *type, mp_bytes_t body,
                    ProtobufCAllocator *allocator)
{
    static const uint8_t nothing;
    if (body.size > MPX_BODY_MAX || !mpx_utf8_check(type, body))
        return NULL;
    return protobuf_c_message_unpack(type, allocator, body.size, body.size ? body.data : &nothing);
}

static mp_rc_t pack(const ProtobufCMessage *message, mpx_buf_t *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > MPX_BODY_MAX || (out->max && size > out->max - out->size))
        return mpx_fault(MP_ETOOLARGE, "a message body of %zu bytes", size);
    uint8_t *at = mpx_buf_reserve(out, size);
    if (!at)
        return no_memory();
    protobuf_c_message_pack(message, at);
    if (!mpx_utf8_check(message->descriptor, (mp_bytes_t){at, size}))
        return mpx_fault(MP_ETOOLARGE,
                         "a string of a message is longer than %u bytes, or there "
                         "are more than %u of them",
                         MPX_STRING_MAX, MPX_TASKS_MAX);
    mpx_utf8_launder_all(message->descriptor, at, size);
    out->size += size;
    return MP_OK;
}

/* protobuf-c's structs want char *, but its packing only reads. */
static char *text(const char *string)
{
    return string ? (char *)(uintptr_t)string : (char *)(uintptr_t) "";
}

/* Cut at a length that the reader accepts. */
static char *short_text(const char *string, char copy[MPX_STRING_MAX + 1])
{
    if (!string || strnlen(string, MPX_STRING_MAX + 1) <= MPX_STRING_MAX)
        return text(string);
    memcpy(copy, string, MPX_STRING_MAX);
    copy[MPX_STRING_MAX] = '\0';
    return copy;
}

#define UNPACK_BEGIN(Type, descriptor)                                                             \
    budget_t budget = {.left = BUDGET_BYTES};                                                      \
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};                           \
    Type *message = unpack(&descriptor, body, &allocator)

#define UNPACK_END() protobuf_c_message_free_unpacked(&message->base, &allocator)

/* ---- Hello ------------------------------------------------------------------------------ */

static void hello_fill(const mpx_hello_t *self, Mp__Hello *message, Mp__Task *tasks,
                       Mp__Task **task_pointers)
{
    for (size_t i = 0; i < self->tasks_count; i++) {
        mp__task__init(&tasks[i]);
        tasks[i].name = text(self->tasks[i].name);
        tasks[i].signature = text(self->tasks[i].signature);
        task_pointers[i] = &tasks[i];
    }
    mp__hello__init(message);
    message->role = (Mp__Role)self->role;
    message->version_min = self->version_min;
    message->version_max = self->version_max;
    message->software = text(self->software);
    message->host = text(self->host);
    message->pid = self->pid;
    message->name = text(self->name);
    message->slots = self->slots;
    message->n_tasks = self->tasks_count;
    message->tasks = task_pointers;
    message->n_refused = self->refused_count;
    message->refused = (char **)(uintptr_t)self->refused;
    message->session = self->session;
    message->session_secret = self->session_secret;
    message->kept = self->kept;
    message->had = self->had;
    message->have = text(self->have);
    message->returns = self->returns;
    message->looks = self->looks;
    message->module_bytes = self->module_bytes;
}

mp_rc_t mpx_hello_pack(const mpx_hello_t *self, mpx_buf_t *out)
{
    Mp__Task *tasks = calloc(self->tasks_count + 1, sizeof *tasks);
    Mp__Task **pointers = calloc(self->tasks_count + 1, sizeof(Mp__Task *));
    mp_rc_t rc = MP_OK;
    if (tasks && pointers) {
        Mp__Hello message;
        hello_fill(self, &message, tasks, pointers);
        rc = pack(&message.base, out);
    } else {
        rc = no_memory();
    }
    free(pointers);
    free(tasks);
    return rc;
}

static size_t hello_size(const Mp__Hello *message)
{
    size_t size = message->n_tasks * sizeof(mpx_offer_t) + message->n_refused * sizeof(char *) + 32;
    size += arena_size(message->software) + arena_size(message->host) + arena_size(message->name) +
            arena_size(message->have);
    for (size_t i = 0; i < message->n_tasks; i++)
        size += arena_size(message->tasks[i]->name) + arena_size(message->tasks[i]->signature);
    for (size_t i = 0; i < message->n_refused; i++)
        size += arena_size(message->refused[i]);
    return size;
}

static void hello_copy(const Mp__Hello *message, arena_t *arena, mpx_hello_t *out)
{
    mpx_offer_t *tasks = arena_take(arena, message->n_tasks * sizeof *tasks);
    const char **refused = arena_take(arena, message->n_refused * sizeof *refused);
    for (size_t i = 0; i < message->n_tasks; i++) {
        tasks[i].name = arena_string(arena, message->tasks[i]->name);
        tasks[i].signature = arena_string(arena, message->tasks[i]->signature);
    }
    for (size_t i = 0; i < message->n_refused; i++)
        refused[i] = arena_string(arena, message->refused[i]);
    *out = (mpx_hello_t){
        .role = (mpx_role_t)message->role,
        .version_min = message->version_min,
        .version_max = message->version_max,
        .software = arena_string(arena, message->software),
        .host = arena_string(arena, message->host),
        .pid = message->pid,
        .name = arena_string(arena, message->name),
        .slots = message->slots,
        .tasks = tasks,
        .tasks_count = message->n_tasks,
        .refused = refused,
        .refused_count = message->n_refused,
        .session = message->session,
        .session_secret = message->session_secret,
        .kept = message->kept,
        .had = message->had,
        .have = arena_string(arena, message->have),
        .returns = message->returns,
        .looks = message->looks,
        .module_bytes = message->module_bytes,
    };
}

mp_rc_t mpx_hello_unpack(mp_bytes_t body, mpx_hello_t *out, void **arena_out)
{
    UNPACK_BEGIN(Mp__Hello, mp__hello__descriptor);
    if (!message)
        return malformed(&budget, "HELLO");
    arena_t arena = {0};
    bool ok = arena_new(&arena, hello_size(message));
    if (ok) {
        hello_copy(message, &arena, out);
        *arena_out = arena.block;
    }
    UNPACK_END();
    return ok ? MP_OK : no_memory();
}

/* ---- the others have at most two strings ------------------------------------------------ */

/* Into one block of ours. */
static mp_rc_t copy_strings(const char **strings, size_t count, void **arena_out)
{
    arena_t arena = {0};
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += arena_size(strings[i]);
    if (!arena_new(&arena, size))
        return no_memory();
    for (size_t i = 0; i < count; i++)
        strings[i] = arena_string(&arena, strings[i]);
    *arena_out = arena.block;
    return MP_OK;
}

mp_rc_t mpx_welcome_pack(const mpx_welcome_t *self, mpx_buf_t *out)
{
    Mp__Welcome message;
    mp__welcome__init(&message);
    message.version = self->version;
    message.software = text(self->software);
    message.session = self->session;
    message.max_message_bytes = self->max_message_bytes;
    message.submit_bytes = self->submit_bytes;
    message.result_bytes = self->result_bytes;
    message.workers = self->workers;
    message.executors = self->executors;
    message.durable = self->durable;
    message.resumed = self->resumed;
    message.kept = self->kept;
    return pack(&message.base, out);
}

mp_rc_t mpx_welcome_unpack(mp_bytes_t body, mpx_welcome_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Welcome, mp__welcome__descriptor);
    if (!message)
        return malformed(&budget, "WELCOME");
    const char *software = message->software;
    mp_rc_t rc = copy_strings(&software, 1, arena);
    if (rc == MP_OK)
        *out = (mpx_welcome_t){
            .version = message->version,
            .software = software,
            .session = message->session,
            .max_message_bytes = message->max_message_bytes,
            .submit_bytes = message->submit_bytes,
            .result_bytes = message->result_bytes,
            .workers = message->workers,
            .executors = message->executors,
            .durable = message->durable,
            .resumed = message->resumed,
            .kept = message->kept,
        };
    UNPACK_END();
    return rc;
}

mp_rc_t mpx_problem_pack(const mpx_problem_t *self, mpx_buf_t *out)
{
    char copy[MPX_STRING_MAX + 1];
    Mp__Problem message;
    mp__problem__init(&message);
    message.message = short_text(self->message, copy);
    return pack(&message.base, out);
}

mp_rc_t mpx_problem_unpack(mp_bytes_t body, mpx_problem_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Problem, mp__problem__descriptor);
    if (!message)
        return malformed(&budget, "ERROR");
    const char *words = message->message;
    mp_rc_t rc = copy_strings(&words, 1, arena);
    if (rc == MP_OK)
        *out = (mpx_problem_t){.message = words};
    UNPACK_END();
    return rc;
}

mp_rc_t mpx_open_pack(const mpx_open_t *self, mpx_buf_t *out)
{
    Mp__Open message;
    mp__open__init(&message);
    message.task = text(self->task);
    message.signature = text(self->signature);
    message.call_limit_ms = self->call_limit_ms;
    message.wait_ms = self->wait_ms;
    message.soft_limit_ms = self->soft_limit_ms;
    message.grace_ms = self->grace_ms;
    message.priority = self->priority;
    message.label = text(self->label);
    message.weight = self->weight;
    message.needs = text(self->needs);
    message.output_bytes = self->output_bytes;
    message.nested = self->nested;
    return pack(&message.base, out);
}

mp_rc_t mpx_open_unpack(mp_bytes_t body, mpx_open_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Open, mp__open__descriptor);
    if (!message)
        return malformed(&budget, "OPEN");
    const char *strings[] = {message->task, message->signature, message->label, message->needs};
    mp_rc_t rc = copy_strings(strings, 4, arena);
    if (rc == MP_OK)
        *out = (mpx_open_t){
            .task = strings[0],
            .signature = strings[1],
            .label = strings[2],
            .needs = strings[3],
            .weight = message->weight,
            .call_limit_ms = message->call_limit_ms,
            .wait_ms = message->wait_ms,
            .soft_limit_ms = message->soft_limit_ms,
            .grace_ms = message->grace_ms,
            .priority = message->priority,
            .output_bytes = message->output_bytes,
            .nested = message->nested,
        };
    UNPACK_END();
    return rc;
}

/* The end of it, as far as the reader accepts. */
static ProtobufCBinaryData lines(const char *text, uint8_t copy[MPX_STRING_MAX])
{
    size_t size = text ? strlen(text) : 0;
    size_t cut = size > MPX_STRING_MAX ? size - MPX_STRING_MAX : 0;
    if (size)
        memcpy(copy, text + cut, size - cut);
    mpx_utf8_launder_lines(copy, size - cut);
    return (ProtobufCBinaryData){.len = size - cut, .data = copy};
}

/* As a string: what hides behind a NUL doesn't count. */
static mp_rc_t read_lines(const ProtobufCBinaryData *bytes, char copy[MPX_STRING_MAX + 1])
{
    if (bytes->len > MPX_STRING_MAX)
        return mpx_fault(MP_EPROTO, "the lines of a failure record are too many");
    if (bytes->len)
        memcpy(copy, bytes->data, bytes->len);
    copy[bytes->len] = '\0';
    mpx_utf8_launder_lines((uint8_t *)copy, strlen(copy));
    return MP_OK;
}

mp_rc_t mpx_failure_pack(const mpx_failure_t *self, mpx_buf_t *out)
{
    uint8_t output[MPX_STRING_MAX];
    uint8_t backtrace[MPX_STRING_MAX];
    char copy[MPX_STRING_MAX + 1];
    Mp__Failure message;
    mp__failure__init(&message);
    message.message = short_text(self->message, copy);
    message.host = text(self->host);
    message.pid = self->pid;
    message.attempt = self->attempt;
    message.code = self->code;
    message.signal = self->signal;
    message.exit_status = self->exit_status;
    message.error_output = lines(self->error_output, output);
    message.backtrace = lines(self->backtrace, backtrace);
    return pack(&message.base, out);
}

static mp_rc_t failure_copy(const Mp__Failure *message, mpx_failure_t *out, void **arena_out)
{
    char output[MPX_STRING_MAX + 1];
    char backtrace[MPX_STRING_MAX + 1];
    arena_t arena = {0};
    mp_rc_t rc = read_lines(&message->error_output, output);
    if (rc == MP_OK)
        rc = read_lines(&message->backtrace, backtrace);
    if (rc != MP_OK)
        return rc;
    if (!arena_new(&arena, arena_size(message->message) + arena_size(message->host) +
                               arena_size(output) + arena_size(backtrace)))
        return no_memory();
    *out = (mpx_failure_t){
        .message = arena_string(&arena, message->message),
        .host = arena_string(&arena, message->host),
        .pid = message->pid,
        .attempt = message->attempt,
        .code = message->code,
        .signal = message->signal,
        .exit_status = message->exit_status,
        .error_output = arena_lines(&arena, output),
        .backtrace = arena_lines(&arena, backtrace),
    };
    *arena_out = arena.block;
    return MP_OK;
}

mp_rc_t mpx_failure_unpack(mp_bytes_t body, mpx_failure_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Failure, mp__failure__descriptor);
    if (!message)
        return malformed(&budget, "failure record");
    mp_rc_t rc = failure_copy(message, out, arena);
    UNPACK_END();
    return rc;
}

mp_rc_t mpx_progress_pack(const mpx_progress_t *self, mpx_buf_t *out)
{
    char copy[MPX_STRING_MAX + 1];
    Mp__Progress message;
    mp__progress__init(&message);
    message.done = self->done;
    message.total = self->total;
    message.text = short_text(self->text, copy);
    return pack(&message.base, out);
}

mp_rc_t mpx_progress_unpack(mp_bytes_t body, mpx_progress_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Progress, mp__progress__descriptor);
    if (!message)
        return malformed(&budget, "PROGRESS");
    const char *words = message->text;
    mp_rc_t rc = copy_strings(&words, 1, arena);
    if (rc == MP_OK)
        *out = (mpx_progress_t){.done = message->done, .total = message->total, .text = words};
    UNPACK_END();
    return rc;
}

/* ---- visits -------------------------------------------------------------------------------- */

static ProtobufCBinaryData binary(const uint8_t *data, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)(uintptr_t)data};
}

static bool take_binary(const ProtobufCBinaryData *from, uint8_t *to, size_t size)
{
    if (from->len != size)
        return false;
    memcpy(to, from->data, size);
    return true;
}

mp_rc_t mpx_knock_pack(const mpx_knock_t *self, mpx_buf_t *out)
{
    Mp__Knock message;
    mp__knock__init(&message);
    message.version_min = self->version_min;
    message.version_max = self->version_max;
    message.software = text(self->software);
    message.host = text(self->host);
    message.pid = self->pid;
    message.door = self->door;
    message.object = self->object;
    message.secret = self->secret;
    message.nonce = binary(self->nonce, sizeof self->nonce);
    message.tenant = self->tenant;
    message.tenant_secret = self->tenant_secret;
    return pack(&message.base, out);
}

mp_rc_t mpx_knock_unpack(mp_bytes_t body, mpx_knock_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Knock, mp__knock__descriptor);
    if (!message)
        return malformed(&budget, "KNOCK");
    const char *strings[] = {message->software, message->host};
    uint8_t nonce[MPX_NONCE_BYTES];
    mp_rc_t rc = take_binary(&message->nonce, nonce, sizeof nonce) ? copy_strings(strings, 2, arena)
                                                                   : malformed(&budget, "KNOCK");
    if (rc == MP_OK) {
        *out = (mpx_knock_t){
            .version_min = message->version_min,
            .version_max = message->version_max,
            .software = strings[0],
            .host = strings[1],
            .pid = message->pid,
            .door = message->door,
            .object = message->object,
            .secret = message->secret,
            .tenant = message->tenant,
            .tenant_secret = message->tenant_secret,
        };
        memcpy(out->nonce, nonce, sizeof nonce);
    }
    UNPACK_END();
    return rc;
}

mp_rc_t mpx_challenge_pack(const mpx_challenge_t *self, mpx_buf_t *out)
{
    Mp__Challenge message;
    mp__challenge__init(&message);
    message.nonce = binary(self->nonce, sizeof self->nonce);
    message.proof = binary(self->proof, sizeof self->proof);
    return pack(&message.base, out);
}

mp_rc_t mpx_challenge_unpack(mp_bytes_t body, mpx_challenge_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Challenge, mp__challenge__descriptor);
    if (!message)
        return malformed(&budget, "CHALLENGE");
    mpx_challenge_t taken;
    bool whole = take_binary(&message->nonce, taken.nonce, sizeof taken.nonce) &&
                 take_binary(&message->proof, taken.proof, sizeof taken.proof);
    UNPACK_END();
    if (!whole)
        return malformed(&budget, "CHALLENGE");
    *arena = NULL;
    *out = taken;
    return MP_OK;
}

mp_rc_t mpx_proof_pack(const mpx_proof_t *self, mpx_buf_t *out)
{
    Mp__Proof message;
    mp__proof__init(&message);
    message.proof = binary(self->proof, sizeof self->proof);
    return pack(&message.base, out);
}

mp_rc_t mpx_proof_unpack(mp_bytes_t body, mpx_proof_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Proof, mp__proof__descriptor);
    if (!message)
        return malformed(&budget, "PROOF");
    mpx_proof_t taken;
    bool whole = take_binary(&message->proof, taken.proof, sizeof taken.proof);
    UNPACK_END();
    if (!whole)
        return malformed(&budget, "PROOF");
    *arena = NULL;
    *out = taken;
    return MP_OK;
}

mp_rc_t mpx_admit_pack(const mpx_admit_t *self, mpx_buf_t *out)
{
    Mp__Admit message;
    mp__admit__init(&message);
    message.version = self->version;
    message.software = text(self->software);
    message.window_items = self->window_items;
    message.window_bytes = self->window_bytes;
    message.max_item_bytes = self->max_item_bytes;
    message.joinable = self->joinable;
    message.explicit_ = self->explicitly;
    message.tenant = self->tenant;
    message.secret = self->secret;
    message.server = self->server;
    message.lease_ms = self->lease_ms;
    message.resumed = self->resumed;
    return pack(&message.base, out);
}

mp_rc_t mpx_admit_unpack(mp_bytes_t body, mpx_admit_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Admit, mp__admit__descriptor);
    if (!message)
        return malformed(&budget, "ADMIT");
    const char *software = message->software;
    mp_rc_t rc = copy_strings(&software, 1, arena);
    if (rc == MP_OK)
        *out = (mpx_admit_t){
            .version = message->version,
            .software = software,
            .window_items = message->window_items,
            .window_bytes = message->window_bytes,
            .max_item_bytes = message->max_item_bytes,
            .joinable = message->joinable,
            .explicitly = message->explicit_,
            .tenant = message->tenant,
            .secret = message->secret,
            .server = message->server,
            .lease_ms = message->lease_ms,
            .resumed = message->resumed,
        };
    UNPACK_END();
    return rc;
}

/* The struct and the message have the same fields. */
#define QUEUE_STAT_FIELDS(X)                                                                       \
    X(size)                                                                                        \
    X(prefetched) X(waiting) X(bytes) X(unfinished) X(maxsize) X(peers) X(put) X(got) X(redelivered)

mp_rc_t mpx_queue_stat_pack(const mpx_queue_stat_t *self, mpx_buf_t *out)
{
    Mp__QueueStat message;
    mp__queue_stat__init(&message);
#define SET(field) message.field = self->field;
    QUEUE_STAT_FIELDS(SET)
#undef SET
    return pack(&message.base, out);
}

mp_rc_t mpx_queue_stat_unpack(mp_bytes_t body, mpx_queue_stat_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__QueueStat, mp__queue_stat__descriptor);
    if (!message)
        return malformed(&budget, "TELL");
#define GET(field) out->field = message->field;
    QUEUE_STAT_FIELDS(GET)
#undef GET
    UNPACK_END();
    *arena = NULL;
    return MP_OK;
}

/* ---- for the bodies of other files ----------------------------------------------------------- */

mp_rc_t mpx_body_pack(const ProtobufCMessage *message, mpx_buf_t *out)
{
    return pack(message, out);
}

void *mpx_body_open(mpx_body_t *self, const ProtobufCMessageDescriptor *type, mp_bytes_t body,
                    const char *what)
{
    self->budget = (budget_t){.left = BUDGET_BYTES};
    self->allocator = (ProtobufCAllocator){budget_alloc, budget_free, &self->budget};
    self->message = unpack(type, body, &self->allocator);
    self->rc = self->message ? MP_OK : malformed(&self->budget, what);
    return self->message;
}

void mpx_body_close(mpx_body_t *self)
{
    protobuf_c_message_free_unpacked(self->message, &self->allocator);
}

char *mpx_body_text(const char *string)
{
    return text(string);
}

mp_rc_t mpx_body_strings(const char **strings, size_t count, void **arena)
{
    return copy_strings(strings, count, arena);
}
