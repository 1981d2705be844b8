/* objects_kit.h: clients of a space of objects, its store in memory, and all that is in it as text.
 *
 *     kit_t kit;
 *     kit_open(&kit, (mpx_space_options_t){.durable = true});
 *     guest_t *ann = kit_come(&kit, "ann");
 *     uint64_t list = make(ann, MP_OBJECT_LIST, "");
 *     DOES(ann, list, LIST_APPEND, MP_OK, "i", 5);
 *     SAYS(ann, list, LIST_GET, "5", "n", -1);
 *
 * Arguments by letter: n number, i int (N, I: of 64 bits), d double, s str, b bytes, j a tree as
 * JSON (each of these four a tree but b), o a reference to an object, t the tree whose bytes are
 * given. Results are looked at as one line: numbers as #5, items as JSON, bytes as "text", with a
 * space between.
 */
#ifndef OBJECTS_KIT_H
#define OBJECTS_KIT_H

#include "ok.h"
#include "space_private.h"
#include "suite.h"

#include "clock.h"
#include "reference.h"

#include <stdio.h>
#include <string.h>

#undef OK
#define OK(call) SURE((call) == MP_OK)

enum { GUESTS = 16, SERVER = 77, ANSWERS = 4096 };

/* ---- a store in memory: records in order ----------------------------------------------------- */

typedef struct record {
    mpx_shelf_t shelf;
    mpx_buf_t key, value;
} record_t;

typedef struct shelves {
    record_t *records;
    size_t count, room;
    int fail_after; /* changes until the disk is full; -1: it isn't */
} shelves_t;

static inline int record_order(const record_t *record, mpx_shelf_t shelf, mp_bytes_t key)
{
    size_t size = record->key.size < key.size ? record->key.size : key.size;
    if (record->shelf != shelf)
        return record->shelf < shelf ? -1 : 1;
    int sign = size ? memcmp(record->key.data, key.data, size) : 0;
    return sign ? sign : (record->key.size > key.size) - (record->key.size < key.size);
}

static inline size_t shelves_find(const shelves_t *self, mpx_shelf_t shelf, mp_bytes_t key)
{
    size_t low = 0, high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (record_order(&self->records[middle], shelf, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline mp_rc_t shelves_full(shelves_t *self)
{
    if (self->fail_after < 0)
        return MP_OK;
    return self->fail_after-- > 0 ? MP_OK : MP_ENOSPACE;
}

static inline mp_rc_t shelves_put(void *arg, mpx_shelf_t shelf, mp_bytes_t key, mp_bytes_t value)
{
    shelves_t *self = arg;
    size_t at = shelves_find(self, shelf, key);
    if (shelves_full(self) != MP_OK)
        return MP_ENOSPACE;
    SURE(key.size <= 480);
    if (at == self->count || record_order(&self->records[at], shelf, key) != 0) {
        if (self->count == self->room) {
            self->room = self->room * 2 + 16;
            self->records = realloc(self->records, self->room * sizeof *self->records);
        }
        memmove(self->records + at + 1, self->records + at,
                (self->count - at) * sizeof *self->records);
        self->records[at] = (record_t){.shelf = shelf};
        self->count++;
        OK(mpx_buf_add(&self->records[at].key, key.data, key.size));
    }
    mpx_buf_clear(&self->records[at].value);
    return mpx_buf_add(&self->records[at].value, value.data, value.size);
}

static inline void shelves_remove(shelves_t *self, size_t at)
{
    mpx_buf_free(&self->records[at].key);
    mpx_buf_free(&self->records[at].value);
    self->count--;
    memmove(self->records + at, self->records + at + 1, (self->count - at) * sizeof(record_t));
}

static inline mp_rc_t shelves_del(void *arg, mpx_shelf_t shelf, mp_bytes_t key)
{
    shelves_t *self = arg;
    size_t at = shelves_find(self, shelf, key);
    if (shelves_full(self) != MP_OK)
        return MP_ENOSPACE;
    if (at < self->count && record_order(&self->records[at], shelf, key) == 0)
        shelves_remove(self, at);
    return MP_OK;
}

static inline mp_rc_t shelves_del_all(void *arg, mpx_shelf_t shelf, mp_bytes_t prefix)
{
    shelves_t *self = arg;
    size_t at = shelves_find(self, shelf, prefix);
    if (shelves_full(self) != MP_OK)
        return MP_ENOSPACE;
    while (at < self->count && self->records[at].shelf == shelf &&
           self->records[at].key.size >= prefix.size &&
           memcmp(self->records[at].key.data, prefix.data, prefix.size) == 0)
        shelves_remove(self, at);
    return MP_OK;
}

static inline mpx_pen_t shelves_pen(shelves_t *self)
{
    return (mpx_pen_t){self, shelves_put, shelves_del, shelves_del_all};
}

static inline void shelves_free(shelves_t *self)
{
    while (self->count)
        shelves_remove(self, self->count - 1);
    free(self->records);
    *self = (shelves_t){.fail_after = -1};
}

/* As a crash leaves it: the records of the last commit. */
static inline shelves_t shelves_copy(const shelves_t *self)
{
    shelves_t copy = {.fail_after = -1};
    for (size_t i = 0; i < self->count; i++)
        OK(shelves_put(&copy, self->records[i].shelf, mpx_buf_bytes(&self->records[i].key),
                       mpx_buf_bytes(&self->records[i].value)));
    return copy;
}

/* ---- the space and its clients --------------------------------------------------------------- */

typedef struct answer {
    bool known;
    mp_rc_t rc;
    mpx_buf_t bytes;
} answer_t;

typedef struct kit kit_t;

typedef struct guest {
    kit_t *kit;
    mpx_tenant_t *tenant; /* NULL: over */
    uint64_t number, secret;
    mp_rc_t over;
    uint64_t next, had;
    bool shy;          /* doesn't say that it has answers */
    answer_t *answers; /* by number */
    size_t sent;       /* answers that came, with those that came again */
} guest_t;

struct kit {
    mpx_space_t *space;
    mpx_space_options_t options;
    int64_t now;
    guest_t guests[GUESTS];
    size_t guests_count;
    shelves_t store;
    bool hold_commit; /* nothing is committed or sent */
    char line[1 << 16];
};

static inline void kit_open(kit_t *self, mpx_space_options_t options)
{
    memset(self, 0, sizeof *self);
    options.server = SERVER;
    self->options = options;
    self->now = 1000 * MPX_S;
    self->store.fail_after = -1;
    OK(mpx_space_new(&options, &self->space));
}

static inline void guest_free(guest_t *self)
{
    for (size_t i = 0; self->answers && i < ANSWERS; i++)
        mpx_buf_free(&self->answers[i].bytes);
    free(self->answers);
    self->answers = NULL;
}

static inline void kit_close(kit_t *self)
{
    SURE(mpx_space_is_sound(self->space));
    mpx_space_destroy(&self->space);
    for (size_t i = 0; i < self->guests_count; i++)
        guest_free(&self->guests[i]);
    shelves_free(&self->store);
}

static inline mp_rc_t kit_commit(kit_t *self)
{
    mpx_pen_t pen = shelves_pen(&self->store);
    shelves_t before =
        self->store.fail_after < 0 ? (shelves_t){.count = 0} : shelves_copy(&self->store);
    mp_rc_t rc = mpx_space_write(self->space, &pen);
    if (rc != MP_OK) { /* as a transaction does */
        shelves_free(&self->store);
        self->store = before;
    } else {
        shelves_free(&before);
    }
    mpx_space_committed(self->space, self->now, rc);
    return rc;
}

static inline void guest_take(guest_t *self, const mpx_space_effect_t *effect)
{
    if (effect->over != MP_OK) {
        self->over = effect->over;
        self->tenant = NULL;
        return;
    }
    mp_bytes_t rest = effect->answers;
    for (uint32_t i = 0; i < effect->count; i++) {
        mpx_answer_t answer;
        OK(mpx_answer_next(&rest, &answer));
        self->sent++;
        ck_assert_uint_le(effect->position + i, self->had + 1); /* again, or the next one */
        if (effect->position + i <= self->had)
            continue;
        self->had++;
        answer_t *own = &self->answers[(effect->first + i) % ANSWERS];
        ck_assert(!own->known);
        own->known = true;
        own->rc = answer.rc;
        OK(mpx_buf_add(&own->bytes, answer.results.data, answer.results.size));
    }
    ck_assert_uint_eq(rest.size, 0);
}

static inline void kit_drain(kit_t *self)
{
    mpx_space_effect_t effect;
    SURE(mpx_space_is_sound(self->space));
    while (!self->hold_commit && mpx_space_is_changed(self->space)) {
        (void)kit_commit(self);
        SURE(mpx_space_is_sound(self->space));
        if (self->now < self->space->refuse_until)
            break;
    }
    while (!self->hold_commit && mpx_space_next(self->space, &effect))
        guest_take(effect.tag, &effect);
}

static inline guest_t *kit_come(kit_t *self, const char *name)
{
    ck_assert_uint_lt(self->guests_count, GUESTS);
    guest_t *guest = &self->guests[self->guests_count++];
    *guest = (guest_t){.kit = self, .next = 1, .secret = self->guests_count * 1000};
    guest->answers = calloc(ANSWERS, sizeof *guest->answers);
    OK(mpx_space_come(self->space, self->now, name, guest->secret, guest, &guest->tenant));
    guest->number = mpx_tenant_number(guest->tenant);
    return guest;
}

/* Time passes, and what is due is done. */
static inline void kit_pass(kit_t *self, int64_t ms)
{
    self->now += ms * MPX_MS;
    mpx_space_tick(self->space, self->now);
    kit_drain(self);
}

static inline void guest_detach(guest_t *self)
{
    mpx_space_detach(self->kit->space, self->kit->now, self->tenant);
    self->tenant = NULL;
}

/* false: it is there no more. */
static inline bool guest_attach(guest_t *self)
{
    self->tenant = mpx_space_find(self->kit->space, self->number, self->secret);
    if (self->tenant)
        mpx_space_attach(self->kit->space, self->kit->now, self->tenant, self);
    return self->tenant != NULL;
}

static inline void guest_go(guest_t *self, bool settled)
{
    mpx_space_go(self->kit->space, self->kit->now, self->tenant, settled);
    self->tenant = NULL;
    kit_drain(self->kit);
}

/* It lives. */
static inline void guest_ping(guest_t *self)
{
    ck_assert_ptr_nonnull(self->tenant);
    OK(mpx_space_call(self->kit->space, self->kit->now, self->tenant, self->next, 0,
                      self->shy ? 0 : self->had, (mp_bytes_t){NULL, 0}));
    kit_drain(self->kit);
}

/* ---- operations ------------------------------------------------------------------------------ */

static inline void json_node(const char *text, mpx_buf_t *out)
{
    mp_tree_t *tree = NULL;
    void *data = NULL;
    size_t size = 0;
    ck_assert_msg(mp_tree_from_json(text, strlen(text), NULL, &tree) == MP_OK, "%s", text);
    OK(mp_tree_encode(tree, NULL, &data, &size));
    OK(mpx_buf_add(out, data, size));
    free(data);
    mp_tree_destroy(&tree);
}

static inline mp_ref_t ref_to(uint64_t object)
{
    return (mp_ref_t){{mpx_reference_word(MPX_KIND_OBJECT), object, SERVER}};
}

/* Small letters are an int, capital ones 64 bits. */
static inline uint64_t integer_argument(char letter, va_list *args)
{
    return letter >= 'a' ? (uint64_t)va_arg(*args, int) : va_arg(*args, uint64_t);
}

static inline void add_argument(mpx_buf_t *out, char letter, va_list *args)
{
    mpx_buf_t node = {0};
    const char *text;
    mp_ref_t ref;
    mp_item_kind_t kind = MP_ITEM_TREE;
    switch (letter) {
    case 'n':
    case 'N':
        OK(mpx_parcel_add_number(out, integer_argument(letter, args)));
        return;
    case 'i':
    case 'I':
        OK(mpx_node_add_int(&node, (int64_t)integer_argument(letter, args)));
        break;
    case 'd':
        OK(mpx_node_add_float(&node, va_arg(*args, double)));
        break;
    case 's':
        text = va_arg(*args, const char *);
        OK(mpx_node_add_str(&node, text, strlen(text)));
        break;
    case 'j':
        json_node(va_arg(*args, const char *), &node);
        break;
    case 'o':
        ref = ref_to(va_arg(*args, uint64_t));
        OK(mpx_node_add_ref(&node, &ref));
        break;
    case 't': {
        mp_bytes_t bytes = va_arg(*args, mp_bytes_t);
        OK(mpx_buf_add(&node, bytes.data, bytes.size));
        break;
    }
    default:
        ck_assert_int_eq(letter, 'b');
        text = va_arg(*args, const char *);
        OK(mpx_buf_add(&node, text, strlen(text)));
        kind = MP_ITEM_BYTES;
    }
    OK(mpx_parcel_add(out, kind, mpx_buf_bytes(&node)));
    mpx_buf_free(&node);
}

/* One operation's bytes. Guarded by a lock's token if there is one. */
static inline void add_operation_v(mpx_buf_t *out, uint64_t object, unsigned method,
                                   int32_t wait_ms, uint64_t lock, uint64_t token,
                                   const char *letters, va_list *args)
{
    mpx_buf_t arguments = {0};
    uint8_t head[MPX_OPERATION_HEAD];
    if (lock) {
        OK(mpx_parcel_add_number(&arguments, lock));
        OK(mpx_parcel_add_number(&arguments, token));
    }
    for (; *letters; letters++)
        add_argument(&arguments, *letters, args);
    mpx_operation_t operation = {.method = (uint16_t)method,
                                 .flags = lock ? MPX_OPERATION_GUARDED : 0,
                                 .wait_ms = wait_ms,
                                 .object = object,
                                 .arguments = mpx_buf_bytes(&arguments)};
    mpx_operation_head(head, &operation);
    OK(mpx_buf_add(out, head, sizeof head));
    OK(mpx_buf_add(out, arguments.data, arguments.size));
    mpx_buf_free(&arguments);
}

static inline void add_operation(mpx_buf_t *out, uint64_t object, unsigned method, int32_t wait_ms,
                                 const char *letters, ...)
{
    va_list args;
    va_start(args, letters);
    add_operation_v(out, object, method, wait_ms, 0, 0, letters, &args);
    va_end(args);
}

static inline mp_rc_t guest_call(guest_t *self, uint64_t first, uint32_t count, mp_bytes_t bytes)
{
    ck_assert_ptr_nonnull(self->tenant);
    mp_rc_t rc = mpx_space_call(self->kit->space, self->kit->now, self->tenant, first, count,
                                self->shy ? 0 : self->had, bytes);
    kit_drain(self->kit);
    return rc;
}

static inline uint64_t guest_send(guest_t *self, mpx_buf_t *operation)
{
    uint64_t number = self->next++;
    mpx_buf_free(&self->answers[number % ANSWERS].bytes);
    self->answers[number % ANSWERS] = (answer_t){.known = false};
    OK(guest_call(self, number, 1, mpx_buf_bytes(operation)));
    mpx_buf_free(operation);
    return number;
}

/* Send one, and return its number. */
static inline uint64_t ask(guest_t *self, uint64_t object, unsigned method, int wait_ms,
                           const char *letters, ...)
{
    mpx_buf_t operation = {0};
    va_list args;
    va_start(args, letters);
    add_operation_v(&operation, object, method, wait_ms, 0, 0, letters, &args);
    va_end(args);
    return guest_send(self, &operation);
}

static inline uint64_t ask_guarded(guest_t *self, uint64_t object, unsigned method, uint64_t lock,
                                   uint64_t token, const char *letters, ...)
{
    mpx_buf_t operation = {0};
    va_list args;
    va_start(args, letters);
    add_operation_v(&operation, object, method, 0, lock, token, letters, &args);
    va_end(args);
    return guest_send(self, &operation);
}

static inline uint64_t wait_guarded(guest_t *self, uint64_t object, unsigned method, uint64_t lock,
                                    uint64_t token, const char *letters, ...)
{
    mpx_buf_t operation = {0};
    va_list args;
    va_start(args, letters);
    add_operation_v(&operation, object, method, -1, lock, token, letters, &args);
    va_end(args);
    return guest_send(self, &operation);
}

/* ---- answers --------------------------------------------------------------------------------- */

static inline bool is_known(const guest_t *self, uint64_t number)
{
    return self->answers[number % ANSWERS].known;
}

static inline mp_rc_t rc_of(const guest_t *self, uint64_t number)
{
    ck_assert_msg(is_known(self, number), "operation %llu isn't answered",
                  (unsigned long long)number);
    return self->answers[number % ANSWERS].rc;
}

/* The nth result, which must be a number. */
static inline uint64_t number_of(const guest_t *self, uint64_t number, int nth)
{
    mp_bytes_t rest = mpx_buf_bytes(&self->answers[number % ANSWERS].bytes);
    uint64_t value = 0;
    uint32_t kind;
    mp_bytes_t item;
    for (; nth > 0; nth--)
        OK(mpx_parcel_next(&rest, &kind, &item));
    OK(mpx_parcel_next_number(&rest, &value));
    return value;
}

/* Without the spaces behind , and : (of strings as well). */
static inline void squeeze(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        if (*from != ' ' || from == text || !strchr(",:", from[-1]))
            *to++ = *from;
    *to = 0;
}

static inline void add_item(char *line, size_t room, uint32_t kind, mp_bytes_t item)
{
    mp_tree_t *tree = NULL;
    char *text = NULL;
    size_t length = strlen(line);
    if (kind != MP_ITEM_TREE) {
        if (item.size == 8 && memchr(item.data, 0, 8)) {
            uint64_t value;
            memcpy(&value, item.data, 8);
            snprintf(line + length, room - length, "#%lld", (long long)value);
        } else {
            snprintf(line + length, room - length, "'%.*s'", (int)item.size,
                     (const char *)item.data);
        }
        return;
    }
    OK(mp_tree_decode(item.data, item.size, NULL, &tree));
    OK(mp_tree_to_json(tree, 0, &text));
    squeeze(text);
    snprintf(line + length, room - length, "%s", text);
    free(text);
    mp_tree_destroy(&tree);
}

static inline const char *line_of(const guest_t *self, uint64_t number)
{
    mp_bytes_t rest = mpx_buf_bytes(&self->answers[number % ANSWERS].bytes);
    char *line = self->kit->line;
    uint32_t kind;
    mp_bytes_t item;
    *line = 0;
    while (mpx_parcel_next(&rest, &kind, &item) == MP_OK) {
        if (*line)
            strcat(line, " ");
        add_item(line, sizeof self->kit->line, kind, item);
    }
    return line;
}

#define DOES(guest, object, method, code, ...)                                                     \
    do {                                                                                           \
        uint64_t number_ = ask(guest, object, MPX_##method, 0, __VA_ARGS__);                       \
        ck_assert_msg(rc_of(guest, number_) == (code), "%s: %s (%s)", #method,                     \
                      mp_errname(rc_of(guest, number_)), line_of(guest, number_));                 \
    } while (0)

#define SAYS(guest, object, method, text, ...)                                                     \
    do {                                                                                           \
        uint64_t number_ = ask(guest, object, MPX_##method, 0, __VA_ARGS__);                       \
        ck_assert_msg(rc_of(guest, number_) == MP_OK, "%s: %s (%s)", #method,                      \
                      mp_errname(rc_of(guest, number_)), line_of(guest, number_));                 \
        ck_assert_str_eq(line_of(guest, number_), text);                                           \
    } while (0)

/* ---- MAKE ------------------------------------------------------------------------------------ */

typedef struct making {
    mp_object_type_t type;
    uint64_t flags, ttl_ms, max_items, max_bytes, value, lock;
    char typecode;
    const char *name, *custom, *initial; /* JSON */
} making_t;

static inline void add_making(mpx_buf_t *out, const making_t *making)
{
    const char *name = making->name ? making->name : "";
    const char *custom = making->custom ? making->custom : "";
    add_operation(out, 0, MPX_MAKE, 0, making->initial ? "NNbNNNNNNbj" : "NNbNNNNNNb",
                  (int64_t)making->type, making->flags, name, making->ttl_ms, making->max_items,
                  making->max_bytes, making->value, making->lock, (int64_t)making->typecode, custom,
                  making->initial);
}

static inline uint64_t try_make(guest_t *guest, making_t making)
{
    mpx_buf_t operation = {0};
    add_making(&operation, &making);
    return guest_send(guest, &operation);
}

static inline uint64_t make_of(guest_t *guest, making_t making)
{
    uint64_t number = try_make(guest, making);
    ck_assert_msg(rc_of(guest, number) == MP_OK, "%s", line_of(guest, number));
    return number_of(guest, number, 0);
}

static inline uint64_t make(guest_t *guest, mp_object_type_t type, const char *initial)
{
    return make_of(guest, (making_t){.type = type, .initial = initial, .value = 1});
}

/* ---- all of a space as text ------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static inline void say(mpx_buf_t *out, const char *format,
                                                             ...)
{
    va_list args;
    va_start(args, format);
    OK(mpx_buf_vprintf(out, format, args));
    va_end(args);
}

static inline void dump_bytes(mpx_buf_t *out, mp_bytes_t bytes)
{
    size_t most = bytes.size < 64 ? bytes.size : 64;
    say(out, " %zu:", bytes.size);
    for (size_t i = 0; i < most; i++)
        say(out, "%02x", ((const unsigned char *)bytes.data)[i]);
}

static inline void dump_thing(mpx_buf_t *out, const mpx_thing_t *thing)
{
    if (!thing)
        return;
    say(out, " kind %d%s", thing->kind, thing->refers ? " refers" : "");
    dump_bytes(out, mpx_thing_bytes(thing));
}

typedef enum dump_what { DUMP_STORED, DUMP_ALL } dump_what_t;

static inline void dump_row(mpx_buf_t *out, const mpx_object_t *object, dump_what_t what)
{
    const mpx_given_t *given;
    for (size_t i = 0; i < object->as.row.row.count; i++) {
        const mpx_place_t *place = mpx_row_at(&object->as.row.row, i);
        say(out, "  %llx", (unsigned long long)place->rank);
        dump_thing(out, place->thing);
        say(out, "%s\n", what == DUMP_ALL && place->thing->again ? " again" : "");
    }
    say(out, "  unfinished %zu\n",
        MPX_T(object->type) & MPX_T_QUEUE ? object->as.row.unfinished : 0);
    if (what == DUMP_ALL)
        DL_FOREACH (object->as.row.given, given) {
            say(out, "  given %llx to %s, thread %llu", (unsigned long long)given->rank,
                given->tenant ? given->tenant->name : "-", (unsigned long long)given->thread);
            dump_thing(out, given->thing);
            say(out, "\n");
        }
}

static inline void dump_holds(mpx_buf_t *out, const mpx_object_t *object)
{
    unsigned type = MPX_T(object->type);
    const mpx_units_t *units;
    if (type & MPX_T_LOCK && object->as.lock.holder)
        say(out, "  held by %s token %llu depth %llu%s\n", object->as.lock.holder->name,
            (unsigned long long)object->as.lock.token, (unsigned long long)object->as.lock.depth,
            object->as.lock.orphaned ? " orphaned" : "");
    if (type & MPX_T_UNITS)
        DL_FOREACH (object->as.units, units)
            say(out, "  %lld units of %s\n", (long long)units->count, units->tenant->name);
}

static inline int64_t due_of(const kit_t *kit, const mpx_timer_t *timer)
{
    return timer && timer->node.slot
               ? timer->node.at / MPX_MS + (kit ? kit->space->options.wall_ms : 0)
               : 0;
}

static inline void dump_content(mpx_buf_t *out, const kit_t *kit, const mpx_object_t *object,
                                dump_what_t what)
{
    unsigned type = MPX_T(object->type);
    if (type & MPX_T_KEYED)
        for (const mpx_pair_t *pair = object->as.pairs; pair; pair = pair->hh.next) {
            say(out, "  order %llu version %llu due %lld", (unsigned long long)pair->order,
                (unsigned long long)pair->version, (long long)due_of(kit, pair->expiry));
            dump_bytes(out, mpx_pair_key(pair));
            dump_thing(out, pair->value);
            say(out, "\n");
        }
    if (type & (MPX_T_SEQ | MPX_T_QUEUE))
        dump_row(out, object, what);
    if (object->type == MP_OBJECT_VALUE) {
        dump_thing(out, object->as.thing);
        say(out, "\n");
    }
    if (object->type == MP_OBJECT_CONDITION)
        say(out, "  lock %llu\n", (unsigned long long)object->as.condition.lock->id);
    if (what == DUMP_ALL)
        dump_holds(out, object);
}

static inline int by_id(const void *a, const void *b)
{
    uint64_t left = (*(mpx_object_t *const *)a)->id, right = (*(mpx_object_t *const *)b)->id;
    return (left > right) - (left < right);
}

/* DUMP_STORED: without what isn't stored: versions of objects, handles, holds. To be freed. */
static inline char *dump(const kit_t *kit, dump_what_t what)
{
    size_t count = HASH_COUNT(kit->space->objects), i = 0;
    mpx_object_t **objects = malloc((count + 1) * sizeof *objects);
    mpx_buf_t out = {0};
    for (mpx_object_t *object = kit->space->objects; object; object = object->hh.next)
        objects[i++] = object;
    qsort(objects, count, sizeof *objects, by_id);
    for (i = 0; i < count; i++) {
        const mpx_object_t *object = objects[i];
        say(&out, "%llu %s '%s' %c value %lld bound %lld max %zu %zu bytes %zu inside %u due %lld",
            (unsigned long long)object->id, mp_object_type_name(object->type),
            object->name ? object->name : "", object->typecode ? object->typecode : '-',
            (long long)object->value, (long long)object->bound, object->max_items,
            object->max_bytes, object->bytes, object->inside,
            (long long)due_of(kit, &object->expiry));
        if (what == DUMP_ALL)
            say(&out, " version %llu handles %u waits %zu linger %lld",
                (unsigned long long)object->version, object->handles, object->waits_count,
                (long long)due_of(NULL, &object->linger));
        say(&out, "\n");
        dump_content(&out, kit, object, what);
    }
    say(&out, "%zu bytes\n", kit->space->bytes);
    free(objects);
    OK(mpx_buf_add(&out, "", 1));
    return (char *)out.data;
}

#define SAME_DUMP(a, b)                                                                            \
    do {                                                                                           \
        char *a_ = (a), *b_ = (b);                                                                 \
        ck_assert_msg(strcmp(a_, b_) == 0, "--- was\n%s--- is\n%s", a_, b_);                       \
        free(a_);                                                                                  \
        free(b_);                                                                                  \
    } while (0)

/* A server anew, from what was committed, `wall_ms` later. Nobody is there yet. */
static inline void kit_restart(kit_t *self, int64_t wall_ms)
{
    shelves_t store = shelves_copy(&self->store);
    mpx_space_destroy(&self->space);
    for (size_t i = 0; i < self->guests_count; i++)
        guest_free(&self->guests[i]);
    self->guests_count = 0;
    shelves_free(&self->store);
    self->store = store;
    self->options.wall_ms += self->now / MPX_MS + wall_ms;
    self->now = 0;
    OK(mpx_space_new(&self->options, &self->space));
    for (size_t i = 0; i < store.count; i++)
        OK(mpx_space_load(self->space, store.records[i].shelf, mpx_buf_bytes(&store.records[i].key),
                          mpx_buf_bytes(&store.records[i].value)));
    OK(mpx_space_loaded(self->space, self->now));
    SURE(mpx_space_is_sound(self->space));
}

#endif
