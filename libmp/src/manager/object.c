#include "object.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "invoke.h"
#include "reference.h"

#include <mp/dict.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys
 * ----------------------------------------------------------------------------------------------------
 */

mp_key_t mp_key_null(void)
{
    return (mp_key_t){.type = MP_TREE_NULL};
}

mp_key_t mp_key_bool(bool truth)
{
    return (mp_key_t){.type = MP_TREE_BOOL, .as.truth = truth};
}

mp_key_t mp_key_int(int64_t integer)
{
    return (mp_key_t){.type = MP_TREE_INT, .as.integer = integer};
}

mp_key_t mp_key_float(double real)
{
    return (mp_key_t){.type = MP_TREE_FLOAT, .as.real = real};
}

mp_key_t mp_key_str(const char *text)
{
    return (mp_key_t){.type = MP_TREE_STR, .as.size = text ? strlen(text) : 0, .data = text};
}

mp_key_t mp_key_bytes(const void *data, size_t size)
{
    return (mp_key_t){.type = MP_TREE_BYTES, .as.size = size, .data = data};
}

mp_key_t mp_key_of(const mp_tree_t *node)
{
    mp_bytes_t bytes = {NULL, 0};
    mp_key_t key = {.type = node ? mp_tree_type(node) : MP_TREE_LIST};
    switch (key.type) {
    case MP_TREE_BOOL:
        key.as.truth = mp_tree_bool_or(node, false);
        break;
    case MP_TREE_INT:
        key.as.integer = mp_tree_int_or(node, 0);
        break;
    case MP_TREE_FLOAT:
        key.as.real = mp_tree_float_or(node, 0);
        break;
    case MP_TREE_STR:
    case MP_TREE_BYTES:
        (void)mp_tree_as_bytes(node, &bytes);
        key.as.size = bytes.size;
        key.data = bytes.data;
        break;
    default:
        break;
    }
    return key;
}

/* ---- handles
 * ---------------------------------------------------------------------------------------------------
 */

mp_rc_t mpx_object_handle(mpx_server_t *server, uint64_t id, mp_object_type_t type,
                          const char *name, size_t name_size, mp_object_t **out)
{
    mpx_line_t *line = NULL;
    mp_object_t *self = calloc(1, sizeof *self);
    char *copy = malloc(name_size + 1);
    mp_rc_t rc = mpx_server_line(server, &line);
    if (rc != MP_OK || !self || !copy) {
        free(copy);
        free(self);
        return rc == MP_OK ? mpx_fault(MP_ENOMEM, "a handle") : rc;
    }
    if (name_size)
        memcpy(copy, name, name_size);
    copy[name_size] = 0;
    *self = (mp_object_t){
        .server = mpx_server_share(server),
        .id = id,
        .type = type,
        .name = copy,
        .generation = mpx_fork_generation(),
        .lapses = mpx_line_lapses(line),
        .life = mpx_line_server(line),
    };
    *out = self;
    return MP_OK;
}

mp_rc_t mpx_object_line(mp_object_t *self, mpx_line_t **out)
{
    mp_rc_t rc = mpx_server_line(self->server, out);
    if (rc != MP_OK || self->generation == mpx_fork_generation())
        return rc;
    rc = mpx_line_adopt(*out, self->id);
    if (rc == MP_OK) {
        self->generation = mpx_fork_generation();
        self->lapses = mpx_line_lapses(*out);
    }
    return rc;
}

mp_rc_t mpx_object_is(const mp_object_t *self, unsigned types)
{
    if (MPX_T(self->type) & types)
        return MP_OK;
    return mpx_fault(MP_EINVAL, "it is a %s", mp_object_type_name(self->type));
}

void mp_object_destroy(mp_object_t **self_p)
{
    mpx_line_t *line = NULL;
    if (!self_p || !*self_p)
        return;
    mp_object_t *self = *self_p;
    *self_p = NULL;
    if (self->generation == mpx_fork_generation() && mpx_server_line(self->server, &line) == MP_OK)
        mpx_line_drop(line, self->id);
    mpx_server_put(&self->server);
    free(self->making);
    free(self->name);
    free(self);
}

mp_rc_t mp_object_copy(const mp_object_t *self, mp_object_t **out)
{
    mpx_line_t *line = NULL;
    mp_object_t *copy = NULL;
    mp_rc_t rc = mpx_object_handle(self->server, self->id, self->type, self->name,
                                   strlen(self->name), &copy);
    if (rc == MP_OK)
        rc = mpx_server_line(self->server, &line);
    if (rc == MP_OK)
        rc = mpx_line_hold(line, self->id, false);
    if (rc == MP_OK && self->making) {
        copy->making = malloc(self->making_size);
        if (copy->making)
            memcpy(copy->making, self->making, self->making_size);
        copy->making_size = copy->making ? self->making_size : 0;
    }
    if (rc == MP_OK) {
        copy->life = self->life;
        copy->guard = self->guard;
        copy->token = self->token;
        *out = copy;
    } else {
        mp_object_destroy(&copy);
    }
    return rc;
}

const char *mp_object_name(const mp_object_t *self)
{
    return self->name;
}

mp_object_type_t mp_object_type(const mp_object_t *self)
{
    return self->type;
}

uint64_t mp_object_id(const mp_object_t *self)
{
    return self->id;
}

/* ---- what any object can
 * --------------------------------------------------------------------------------------- */

mp_rc_t mp_object_delete(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_DELETE, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_object_expire(mp_object_t *self, int64_t ttl_ms, int timeout_ms)
{
    if (ttl_ms < 0)
        return mpx_fault(MP_EINVAL, "a time of %lld ms", (long long)ttl_ms);
    return MPX_INVOKE(self, MPX_EXPIRE, timeout_ms, MPX_ARGS(MPX_NUMBER(ttl_ms)), MPX_NO_TAKES);
}

/* More numbers than other calls have. */
enum { STATS = 9 };

mp_rc_t mp_object_stat(mp_object_t *self, mp_object_stat_t *out, int timeout_ms)
{
    uint64_t numbers[STATS] = {0};
    mpx_take_t takes[STATS];
    if (self->pipeline)
        return mpx_fault(MP_EINVAL, "a stat doesn't go into a pipeline");
    for (size_t i = 0; i < STATS; i++)
        takes[i] = (mpx_take_t){MPX_TAKE_NUMBER, &numbers[i], 0, NULL};
    mp_rc_t rc = mpx_invoke(self, MPX_STAT, timeout_ms, MPX_NO_ARGS, takes, STATS);
    if (rc == MP_OK)
        *out = (mp_object_stat_t){
            .type = (mp_object_type_t)numbers[0],
            .version = numbers[1],
            .items = numbers[2],
            .bytes = numbers[3],
            .handles = (uint32_t)numbers[4],
            .holders = (uint32_t)numbers[5],
            .waiters = (uint32_t)numbers[6],
            .token = numbers[7],
            .expire_ms = (int64_t)numbers[8],
        };
    return rc;
}

mp_rc_t mp_object_watch(mp_object_t *self, uint64_t *version, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_WATCH, timeout_ms, MPX_ARGS(MPX_NUMBER(*version)),
                      MPX_TAKES({MPX_TAKE_NUMBER, version, 0, NULL}));
}

/* ---- guards
 * ------------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_object_guard_token(mp_object_t *self, mp_object_t *lock, uint64_t token)
{
    if (!lock) {
        self->guard = self->token = 0;
        return MP_OK;
    }
    if (lock->server != self->server || !(MPX_T(lock->type) & MPX_T_LOCKED))
        return mpx_fault(MP_EINVAL, "a guard is a Lock, RLock or Condition of the same manager");
    self->guard = lock->id;
    self->token = token;
    return MP_OK;
}

mp_rc_t mp_object_guard(mp_object_t *self, mp_object_t *lock)
{
    uint64_t token = 0;
    if (!lock)
        return mp_object_guard_token(self, NULL, 0);
    if (lock->pipeline || !(MPX_T(lock->type) & MPX_T_LOCKED))
        return mpx_fault(MP_EINVAL,
                         "a guard is a Lock, RLock or Condition, and none of a pipeline");
    mp_rc_t rc = MPX_INVOKE(lock, MPX_LOCK_TOKEN, 0, MPX_NO_ARGS,
                            MPX_TAKES({MPX_TAKE_NUMBER, &token, 0, NULL}));
    return rc == MP_OK ? mp_object_guard_token(self, lock, token) : rc;
}

/* ---- references
 * ---------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_object_ref(const mp_object_t *self, mp_ref_t *out)
{
    mp_ref_t ref = {{mpx_reference_word(MPX_KIND_OBJECT), self->id, 0, 0, 0, 0}};
    mp_rc_t rc = mpx_server_name(self->server, &ref);
    if (rc == MP_OK)
        *out = ref;
    return rc;
}

mp_tree_t *mp_object_node(const mp_object_t *self)
{
    mp_ref_t ref;
    return mp_object_ref(self, &ref) == MP_OK ? mp_tree_ref(&ref) : NULL;
}

static mp_rc_t open_at(mpx_server_t *server, uint64_t id, mp_object_t **out)
{
    uint64_t type = 0;
    mpx_line_t *line = NULL;
    mp_item_t name = {.data = NULL};
    mp_object_t probe = {.server = server, .id = id};
    mp_rc_t rc = mpx_server_line(server, &line);
    if (rc != MP_OK)
        return rc;
    probe.generation = mpx_fork_generation();
    probe.lapses = mpx_line_lapses(line);
    rc = MPX_INVOKE(&probe, MPX_OPEN, 0, MPX_NO_ARGS,
                    MPX_TAKES({MPX_TAKE_NUMBER, &type, 0, NULL}, {MPX_TAKE_ITEM, &name, 0, NULL}));
    if (rc == MP_OK)
        rc = mpx_line_hold(line, id, true);
    if (rc == MP_OK)
        rc = mpx_object_handle(server, id, (mp_object_type_t)type, name.data, name.size, out);
    mp_item_clear(&name);
    return rc;
}

mp_rc_t mp_object_open(const mp_ref_t *ref, mp_object_t **out)
{
    mpx_server_t *server = NULL;
    mp_rc_t rc = mpx_server_of_ref(ref, &server);
    if (rc == MP_OK)
        rc = open_at(server, ref->word[1], out);
    mpx_server_put(&server);
    return rc;
}
