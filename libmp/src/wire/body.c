/* body.c: the bodies of the rarer messages, by protobuf-c.
 *
 * protobuf-c trusts lengths that are inside the buffer, so what it allocates is bounded by
 * a constant times the body's size: repeated fields cost a pointer and a struct for each
 * two bytes. Its allocations come from a budget, so that a body of 64 KiB can't take more
 * than BUDGET_BYTES. What it returns is copied into one block of ours.
 */
#include "wire.h"

#include "fault.h"

#include "mp.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { BUDGET_BYTES = 4 * 1024 * 1024, ALLOC_HEAD = 16 };

/* ---- unpacking within a budget ---------------------------------------------------------- */

static void *budget_alloc(void *data, size_t size)
{
    size_t *left = data;
    if (size > *left)
        return NULL;
    size_t *block = malloc(size + ALLOC_HEAD);
    if (!block)
        return NULL;
    *left -= size;
    *block = size;
    return (unsigned char *)block + ALLOC_HEAD;
}

static void budget_free(void *data, void *pointer)
{
    if (!pointer)
        return;
    size_t *left = data;
    size_t *block = (size_t *)(void *)((unsigned char *)pointer - ALLOC_HEAD);
    *left += *block;
    free(block);
}

/* ---- strings ---------------------------------------------------------------------------- */

/* The bytes of the UTF-8 sequence at s, by the table of well-formed ones in The Unicode
 * Standard, 3.9; 0: it is none. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    unsigned char low = 0x80, high = 0xbf;
    size_t length = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                    : (s[0] & 0xf0) == 0xe0        ? 3
                    : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                   : 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < length; i++) {
        if (s[i] < low || s[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

/* Make it fit to be shown, in place. Anything else than UTF-8 and printable goes. */
static void launder(char *string)
{
    unsigned char *s = (unsigned char *)string;
    while (*s) {
        size_t length = utf8_length(s);
        if (length == 0 || *s < 0x20 || *s == 0x7f) {
            *s++ = '?';
            continue;
        }
        s += length;
    }
}

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

static const char *arena_string(arena_t *self, const char *string)
{
    size_t size = strlen(string) + 1;
    char *copy = arena_take(self, size);
    memcpy(copy, string, size);
    launder(copy);
    return copy;
}

static bool string_fits(const char *string)
{
    return strlen(string) <= MPX_STRING_MAX;
}

static mp_rc_t malformed(const char *what)
{
    return mpx_fault(MP_EPROTO, "the body of a %s is malformed", what);
}

static void *unpack(const ProtobufCMessageDescriptor *type, mp_bytes_t body,
                    ProtobufCAllocator *allocator)
{
    if (body.size > MPX_BODY_MAX)
        return NULL;
    static const uint8_t nothing;
    return protobuf_c_message_unpack(type, allocator, body.size, body.data ? body.data : &nothing);
}

static mp_rc_t pack(const void *message, mpx_buf_t *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > MPX_BODY_MAX)
        return mpx_fault(MP_ETOOLARGE, "a message body of %zu bytes", size);
    uint8_t *at = mpx_buf_reserve(out, size);
    if (!at)
        return MP_ENOMEM;
    out->size += protobuf_c_message_pack(message, at);
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
    if (!string || string_fits(string))
        return text(string);
    memcpy(copy, string, MPX_STRING_MAX);
    copy[MPX_STRING_MAX] = '\0';
    return copy;
}

#define UNPACK_BEGIN(Type, descriptor)                                                             \
    size_t budget = BUDGET_BYTES;                                                                  \
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};                           \
    Type *message = unpack(&descriptor, body, &allocator)

#define UNPACK_END() protobuf_c_message_free_unpacked(&message->base, &allocator)

/* ---- Hello ------------------------------------------------------------------------------ */

static mp_rc_t hello_fill(const mpx_hello_t *self, Mp__Hello *message, Mp__Task *tasks,
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
    return MP_OK;
}

mp_rc_t mpx_hello_pack(const mpx_hello_t *self, mpx_buf_t *out)
{
    Mp__Task *tasks = calloc(self->tasks_count + 1, sizeof *tasks);
    Mp__Task **pointers = calloc(self->tasks_count + 1, sizeof(Mp__Task *));
    mp_rc_t rc = MP_ENOMEM;
    if (tasks && pointers) {
        Mp__Hello message;
        rc = hello_fill(self, &message, tasks, pointers);
        if (rc == MP_OK)
            rc = pack(&message, out);
    }
    free(pointers);
    free(tasks);
    return rc;
}

static bool hello_fits(const Mp__Hello *message)
{
    if (message->n_tasks > MPX_TASKS_MAX || message->n_refused > MPX_TASKS_MAX ||
        !string_fits(message->software) || !string_fits(message->host) ||
        !string_fits(message->name))
        return false;
    for (size_t i = 0; i < message->n_tasks; i++)
        if (!string_fits(message->tasks[i]->name) || !string_fits(message->tasks[i]->signature))
            return false;
    for (size_t i = 0; i < message->n_refused; i++)
        if (!string_fits(message->refused[i]))
            return false;
    return true;
}

static size_t hello_size(const Mp__Hello *message)
{
    size_t size = message->n_tasks * sizeof(mpx_offer_t) + message->n_refused * sizeof(char *) + 32;
    size += arena_size(message->software) + arena_size(message->host) + arena_size(message->name);
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
    };
}

mp_rc_t mpx_hello_unpack(mp_bytes_t body, mpx_hello_t *out, void **arena_out)
{
    UNPACK_BEGIN(Mp__Hello, mp__hello__descriptor);
    if (!message)
        return malformed("HELLO");
    arena_t arena = {0};
    mp_rc_t rc = MP_OK;
    if (!hello_fits(message))
        rc = malformed("HELLO");
    else if (!arena_new(&arena, hello_size(message)))
        rc = MP_ENOMEM;
    if (rc == MP_OK) {
        hello_copy(message, &arena, out);
        *arena_out = arena.block;
    }
    UNPACK_END();
    return rc;
}

/* ---- the others have at most two strings ------------------------------------------------ */

/* Copies a and b (which may be "") into a new arena. */
static mp_rc_t copy_strings(const char *what, const char **a, const char **b, void **arena_out)
{
    arena_t arena = {0};
    if (!string_fits(*a) || !string_fits(*b))
        return malformed(what);
    if (!arena_new(&arena, arena_size(*a) + arena_size(*b)))
        return MP_ENOMEM;
    *a = arena_string(&arena, *a);
    *b = arena_string(&arena, *b);
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
    return pack(&message, out);
}

mp_rc_t mpx_welcome_unpack(mp_bytes_t body, mpx_welcome_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Welcome, mp__welcome__descriptor);
    if (!message)
        return malformed("WELCOME");
    const char *software = message->software;
    const char *nothing = "";
    mp_rc_t rc = copy_strings("WELCOME", &software, &nothing, arena);
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
    return pack(&message, out);
}

mp_rc_t mpx_problem_unpack(mp_bytes_t body, mpx_problem_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Problem, mp__problem__descriptor);
    if (!message)
        return malformed("ERROR");
    const char *words = message->message;
    const char *nothing = "";
    mp_rc_t rc = copy_strings("ERROR", &words, &nothing, arena);
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
    return pack(&message, out);
}

mp_rc_t mpx_open_unpack(mp_bytes_t body, mpx_open_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Open, mp__open__descriptor);
    if (!message)
        return malformed("OPEN");
    const char *task = message->task;
    const char *signature = message->signature;
    mp_rc_t rc = copy_strings("OPEN", &task, &signature, arena);
    if (rc == MP_OK)
        *out = (mpx_open_t){
            .task = task,
            .signature = signature,
            .call_limit_ms = message->call_limit_ms,
            .wait_ms = message->wait_ms,
        };
    UNPACK_END();
    return rc;
}

mp_rc_t mpx_failure_pack(const mpx_failure_t *self, mpx_buf_t *out)
{
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
    return pack(&message, out);
}

mp_rc_t mpx_failure_unpack(mp_bytes_t body, mpx_failure_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Failure, mp__failure__descriptor);
    if (!message)
        return malformed("failure record");
    const char *words = message->message;
    const char *host = message->host;
    mp_rc_t rc = copy_strings("failure record", &words, &host, arena);
    if (rc == MP_OK)
        *out = (mpx_failure_t){
            .message = words,
            .host = host,
            .pid = message->pid,
            .attempt = message->attempt,
            .code = message->code,
            .signal = message->signal,
            .exit_status = message->exit_status,
        };
    UNPACK_END();
    return rc;
}

mp_rc_t mpx_status_pack(const mpx_status_t *self, mpx_buf_t *out)
{
    Mp__Status message;
    mp__status__init(&message);
    message.software = text(self->software);
    message.uptime_ms = self->uptime_ms;
    message.workers = self->workers;
    message.executors = self->executors;
    message.clients = self->clients;
    message.calls_queued = self->calls_queued;
    message.calls_running = self->calls_running;
    return pack(&message, out);
}

mp_rc_t mpx_status_unpack(mp_bytes_t body, mpx_status_t *out, void **arena)
{
    UNPACK_BEGIN(Mp__Status, mp__status__descriptor);
    if (!message)
        return malformed("PONG");
    const char *software = message->software;
    const char *nothing = "";
    mp_rc_t rc = copy_strings("PONG", &software, &nothing, arena);
    if (rc == MP_OK)
        *out = (mpx_status_t){
            .software = software,
            .uptime_ms = message->uptime_ms,
            .workers = message->workers,
            .executors = message->executors,
            .clients = message->clients,
            .calls_queued = message->calls_queued,
            .calls_running = message->calls_running,
        };
    UNPACK_END();
    return rc;
}
