/* fuzz_objects: two strangers' operations on one space of objects, with time that passes, lost
 * connections, and a disk that is full now and then. All counters must agree after each step.
 *
 * A byte says whose turn it is and what comes; then what that needs. */
#include "space_private.h"

#include "clock.h"
#include "reference.h"
#include "script.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TENANTS = 2, OBJECTS = 32, SERVER = 77 };

typedef struct world {
    mpx_space_t *space;
    mpx_tenant_t *tenants[TENANTS]; /* NULL: gone, or detached */
    uint64_t numbers[TENANTS];
    uint64_t next[TENANTS], had[TENANTS];
    uint64_t objects[OBJECTS];
    size_t objects_count;
    int64_t now;
    script_t script;
} world_t;

static uint64_t object(world_t *self)
{
    uint8_t which = script_byte(&self->script);
    return which < self->objects_count ? self->objects[which] : which == 255 ? 12345 : 0;
}

/* ---- effects -----------------------------------------------------------------------------------
 */

/* A MAKE's answer names the object. */
static void note_objects(world_t *self, mp_bytes_t answers)
{
    mpx_answer_t answer;
    while (mpx_answer_next(&answers, &answer) == MP_OK) {
        uint64_t id, is_new;
        mp_bytes_t rest = answer.results;
        if (answer.rc != MP_OK || mpx_parcel_next_number(&rest, &id) != MP_OK ||
            mpx_parcel_next_number(&rest, &is_new) != MP_OK || rest.size || is_new != 1)
            continue;
        if (mpx_object_find(self->space, id) && self->objects_count < OBJECTS)
            self->objects[self->objects_count++] = id;
    }
    require(answers.size == 0);
}

static void drain(world_t *self)
{
    mpx_space_effect_t effect;
    while (mpx_space_next(self->space, &effect)) {
        size_t index = (size_t)((uint64_t *)effect.tag - self->numbers);
        require(index < TENANTS);
        if (effect.over != MP_OK) {
            self->tenants[index] = NULL;
            self->numbers[index] = 0;
            continue;
        }
        require(effect.position <= self->had[index] + 1);
        if (effect.position + effect.count > self->had[index] + 1)
            self->had[index] = effect.position + effect.count - 1;
        note_objects(self, effect.answers);
    }
}

static mp_rc_t put(void *arg, mpx_shelf_t shelf, mp_bytes_t key, mp_bytes_t value)
{
    (void)arg, (void)shelf;
    require(key.size <= 480 && (value.size == 0 || value.data));
    return MP_OK;
}

static mp_rc_t del(void *arg, mpx_shelf_t shelf, mp_bytes_t key)
{
    return put(arg, shelf, key, (mp_bytes_t){NULL, 0});
}

static void commit(world_t *self, mp_rc_t rc)
{
    const mpx_pen_t pen = {NULL, put, del, del};
    for (int i = 0; i < 4 && mpx_space_is_changed(self->space); i++) {
        require(mpx_space_write(self->space, &pen) == MP_OK);
        mpx_space_committed(self->space, self->now, rc);
    }
}

/* ---- steps --------------------------------------------------------------------------------------
 */

static void come(world_t *self, size_t index)
{
    self->next[index] = 1;
    self->had[index] = 0;
    require(mpx_space_come(self->space, self->now, "x", 5, &self->numbers[index],
                           &self->tenants[index]) == MP_OK);
    self->numbers[index] = mpx_tenant_number(self->tenants[index]);
}

static void add_argument(world_t *self, mpx_buf_t *out)
{
    static const char *const trees[] = {
        "\x05", "\xff", "\xc0",          "\xa1x",     "\x92\x01\x02",
        "\x90", "\x80", "\x81\xa1x\x01", "\xc4\x01y", "\x93\x03\x02\x01"};
    uint8_t kind = script_byte(&self->script);
    mpx_buf_t node = {0};
    if (kind < 64) {
        require(mpx_parcel_add_number(out, kind < 60 ? (uint64_t)(int64_t)(kind - 16)
                                                     : UINT64_C(1) << 63 >> (kind - 60)) == MP_OK);
    } else if (kind < 128) {
        const char *tree = trees[kind % 10];
        require(mpx_parcel_add(out, MP_ITEM_TREE, (mp_bytes_t){tree, strlen(tree)}) == MP_OK);
    } else if (kind < 160) {
        mp_ref_t ref = {{mpx_reference_word(MPX_KIND_OBJECT), object(self), SERVER}};
        require(mpx_node_add_list(&node, 2) == MP_OK && mpx_node_add_ref(&node, &ref) == MP_OK &&
                mpx_node_add_ref(&node, &ref) == MP_OK);
        require(mpx_parcel_add(out, MP_ITEM_TREE, mpx_buf_bytes(&node)) == MP_OK);
    } else if (kind < 192) {
        require(mpx_parcel_add_number(out, object(self)) == MP_OK);
    } else if (kind < 224) {
        require(mpx_parcel_add(out, kind % 3, script_bytes(&self->script, kind % 32)) == MP_OK);
    } else {
        mp_bytes_t raw = script_bytes(&self->script, kind % 32);
        require(mpx_buf_add(out, raw.data, raw.size) == MP_OK);
    }
    mpx_buf_free(&node);
}

static void add_operation(world_t *self, mpx_buf_t *out, int depth)
{
    mpx_buf_t arguments = {0};
    uint8_t head[MPX_OPERATION_HEAD];
    mpx_operation_t operation = {.method = script_byte(&self->script), .object = object(self)};
    uint8_t count = script_byte(&self->script);
    operation.wait_ms = count & 64 ? -1 : count & 32 ? 50 : 0;
    operation.flags = count & 128 ? MPX_OPERATION_GUARDED : 0;
    if (operation.method == MPX_ATOMIC && depth < 2) {
        mpx_buf_t inner = {0};
        for (int i = 0; i < (count & 15); i++)
            add_operation(self, &inner, depth + 1);
        require(mpx_parcel_add(&arguments, MP_ITEM_BYTES, mpx_buf_bytes(&inner)) == MP_OK);
        mpx_buf_free(&inner);
    }
    for (int i = 0; i < (count & 15); i++)
        add_argument(self, &arguments);
    operation.arguments = mpx_buf_bytes(&arguments);
    mpx_operation_head(head, &operation);
    require(mpx_buf_add(out, head, sizeof head) == MP_OK);
    require(mpx_buf_add(out, arguments.data, arguments.size) == MP_OK);
    mpx_buf_free(&arguments);
}

static void call(world_t *self, size_t index, uint32_t count, mp_bytes_t bytes, uint64_t had)
{
    mpx_tenant_t *tenant = self->tenants[index];
    mp_rc_t rc =
        mpx_space_call(self->space, self->now, tenant, self->next[index], count, had, bytes);
    self->next[index] += count;
    if (rc == MP_OK || !self->tenants[index])
        return;
    mpx_space_go(self->space, self->now, tenant, false); /* as a peer that talks nonsense */
    come(self, index);
}

/* Makes of each type, with what it needs. */
static void make(world_t *self, size_t index)
{
    mpx_buf_t operation = {0}, arguments = {0};
    uint8_t head[MPX_OPERATION_HEAD];
    uint8_t type = script_byte(&self->script), what = script_byte(&self->script);
    const char *name = what & 1 ? "n" : "";
    const uint64_t numbers[] = {what & 2 ? 100 : 0,           what & 4 ? 3 : 0,
                                what & 8 ? 300 : 0,           what / 64,
                                what & 16 ? object(self) : 0, what & 32 ? 'i' : 0};
    require(mpx_parcel_add_number(&arguments, type) == MP_OK);
    require(mpx_parcel_add_number(&arguments, 0) == MP_OK);
    require(mpx_parcel_add(&arguments, 0, (mp_bytes_t){name, strlen(name)}) == MP_OK);
    for (size_t i = 0; i < 6; i++)
        require(mpx_parcel_add_number(&arguments, numbers[i]) == MP_OK);
    require(mpx_parcel_add(&arguments, 0, (mp_bytes_t){"", 0}) == MP_OK);
    if (what & 32)
        add_argument(self, &arguments);
    mpx_operation_t make = {.method = MPX_MAKE, .arguments = mpx_buf_bytes(&arguments)};
    mpx_operation_head(head, &make);
    require(mpx_buf_add(&operation, head, sizeof head) == MP_OK);
    require(mpx_buf_add(&operation, arguments.data, arguments.size) == MP_OK);
    call(self, index, 1, mpx_buf_bytes(&operation), 0);
    mpx_buf_free(&operation);
    mpx_buf_free(&arguments);
}

static void use(world_t *self, size_t index, uint8_t what)
{
    mpx_buf_t operations = {0};
    uint32_t count = 1 + (what & 1);
    for (uint32_t i = 0; i < count; i++)
        add_operation(self, &operations, 0);
    call(self, index, count, mpx_buf_bytes(&operations), what & 2 ? self->had[index] : 0);
    mpx_buf_free(&operations);
}

static void lose(world_t *self, size_t index)
{
    mpx_space_detach(self->space, self->now, self->tenants[index]);
    self->tenants[index] = NULL;
}

static void find(world_t *self, size_t index)
{
    self->tenants[index] = mpx_space_find(self->space, self->numbers[index], 5);
    if (self->tenants[index])
        mpx_space_attach(self->space, self->now, self->tenants[index], &self->numbers[index]);
    else
        come(self, index);
}

static void step(world_t *self)
{
    uint8_t what = script_byte(&self->script);
    size_t index = what & 1;
    if (!self->tenants[index])
        find(self, index);
    switch (what >> 1 & 15) {
    case 0:
    case 1:
        make(self, index);
        break;
    case 2:
        lose(self, index);
        break;
    case 3:
        mpx_space_go(self->space, self->now, self->tenants[index], what & 128);
        come(self, index);
        break;
    case 4:
        self->now += (int64_t)script_byte(&self->script) * 30 * MPX_MS;
        mpx_space_tick(self->space, self->now);
        break;
    case 5:
        call(self, index, what >> 5, script_bytes(&self->script, script_byte(&self->script)),
             what & 128);
        break;
    case 6:
        commit(self, what & 128 ? MP_ENOSPACE : MP_OK);
        break;
    default:
        use(self, index, what >> 5);
        break;
    }
    require(mpx_space_is_sound(self->space));
    /* What a durable one has changed is told of when that is stored. */
    if (what & 64)
        commit(self, MP_OK);
    if (!mpx_space_is_changed(self->space))
        drain(self);
    require(mpx_space_is_sound(self->space));
}

/* What can be decoded is a node. */
static void check_node(const uint8_t *data, size_t size)
{
    mp_tree_t *tree = NULL;
    size_t refs;
    mp_rc_t rc = mpx_node_check((mp_bytes_t){data, size}, &refs);
    if (mp_tree_decode(data, size, NULL, &tree) == MP_OK)
        require(rc == MP_OK);
    mp_tree_destroy(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world_t self = {.now = MPX_S, .script = {{data, size}}};
    uint8_t how = script_byte(&self.script);
    mpx_space_options_t options = {.max_bytes = 1 << 16,
                                   .max_handles = 20,
                                   .max_waits = 8,
                                   .answer_bytes = 512,
                                   .operation_bytes = 2048,
                                   .server = SERVER,
                                   .durable = how & 1};
    check_node(data, size);
    require(mpx_space_new(&options, &self.space) == MP_OK);
    come(&self, 0);
    come(&self, 1);
    commit(&self, MP_OK);
    while (self.script.rest.size)
        step(&self);
    mpx_space_destroy(&self.space);
    return 0;
}
