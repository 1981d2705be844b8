/* make.c: objects: made, or opened by name. */
#include "fault.h"
#include "invoke.h"
#include "manager_private.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 10000 };

static mp_rc_t check(const mp_manager_t *self, mp_object_type_t type,
                     const mp_object_options_t *options)
{
    size_t length = options->name ? strlen(options->name) : 1;
    if (type <= 0 || type >= MP_OBJECT_TYPES)
        return mpx_fault(MP_EINVAL, "%d is no type of object", (int)type);
    if (length == 0 || length > 255)
        return mpx_fault(MP_EINVAL, "a name has 1 to 255 bytes");
    if (options->only_open && (options->only_new || !options->name))
        return mpx_fault(MP_EINVAL, "only what has a name can be opened");
    if (options->ttl_ms < 0)
        return mpx_fault(MP_EINVAL, "a time of %lld ms", (long long)options->ttl_ms);
    if (options->lock && options->lock->server != self->server)
        return mpx_fault(MP_EINVAL, "the condition's lock is of another manager");
    return MP_OK;
}

static uint64_t value_of(mp_object_type_t type, const mp_object_options_t *options)
{
    bool units = MPX_T(type) & MPX_T_UNITS;
    if (units && options->value < 0)
        return 0;
    return options->value ? (uint64_t)options->value : units ? 1 : 0;
}

/* The operation that makes it, or opens it. The initial tree is destroyed. */
static mp_rc_t pack(mp_object_type_t type, const mp_object_options_t *options, mpx_buf_t *out)
{
    const char *name = options->name ? options->name : "";
    const char *custom = options->custom ? options->custom : "";
    uint64_t flags = (options->only_new ? MPX_MAKE_ONLY_NEW : 0u) |
                     (options->only_open ? MPX_MAKE_ONLY_OPEN : 0u);
    mpx_arg_t args[] = {
        MPX_NUMBER(type),
        MPX_NUMBER(flags),
        MPX_ITEM(MP_ITEM_BYTES, name, strlen(name)),
        MPX_NUMBER(options->ttl_ms),
        MPX_NUMBER(options->max_items),
        MPX_NUMBER(options->max_bytes),
        MPX_NUMBER(value_of(type, options)),
        MPX_NUMBER(options->lock ? options->lock->id : 0),
        MPX_NUMBER((unsigned char)options->typecode),
        MPX_ITEM(MP_ITEM_BYTES, custom, strlen(custom)),
        MPX_TREE(options->initial),
    };
    size_t count = sizeof args / sizeof *args - (options->initial ? 0 : 1);
    mp_object_t manager = {.id = 0};
    return mpx_invoke_pack(&manager, MPX_MAKE, 0, args, count, out);
}

/* A named one is made again, or opened, if its manager comes back without what it kept. */
static void keep_making(mp_object_t *object, const mp_object_options_t *options, mpx_buf_t *making)
{
    if (!options->name || options->only_new || options->lock)
        return;
    object->making = making->data;
    object->making_size = making->size;
    *making = (mpx_buf_t){0};
}

mp_rc_t mp_manager_object(mp_manager_t *self, mp_object_type_t type,
                          const mp_object_options_t *given, mp_object_t **out)
{
    mp_object_options_t options = given ? *given : (mp_object_options_t){0};
    int timeout_ms = options.timeout_ms ? options.timeout_ms : TIMEOUT_MS;
    uint64_t id = 0;
    mpx_line_t *line = NULL;
    mpx_buf_t making = {0};
    mp_object_t *object = NULL;
    mp_rc_t rc = check(self, type, &options);
    if (rc != MP_OK) {
        mp_tree_destroy(&options.initial);
        return rc;
    }
    rc = pack(type, &options, &making);
    if (rc == MP_OK)
        rc = mpx_server_line(self->server, &line);
    if (rc == MP_OK)
        rc = mpx_invoke_packed(self->server, MPX_MAKE, timeout_ms, &making,
                               MPX_TAKES({MPX_TAKE_NUMBER, &id, 0, NULL}));
    if (rc == MP_OK)
        rc = mpx_line_hold(line, id, true);
    if (rc == MP_OK)
        rc = mpx_object_handle(self->server, id, type, options.name,
                               options.name ? strlen(options.name) : 0, &object);
    if (rc == MP_OK) {
        keep_making(object, &options, &making);
        *out = object;
    }
    mpx_buf_free(&making);
    return rc;
}

/* ---- by type
 * ---------------------------------------------------------------------------------------------------
 */

static mp_rc_t plain(mp_manager_t *self, mp_object_type_t type, const char *name, mp_object_t **out)
{
    return mp_manager_object(self, type, &(mp_object_options_t){.name = name}, out);
}

mp_rc_t mp_manager_dict(mp_manager_t *self, const char *name, mp_object_t **out)
{
    return plain(self, MP_OBJECT_DICT, name, out);
}

mp_rc_t mp_manager_list(mp_manager_t *self, const char *name, mp_object_t **out)
{
    return plain(self, MP_OBJECT_LIST, name, out);
}

mp_rc_t mp_manager_set(mp_manager_t *self, const char *name, mp_object_t **out)
{
    return plain(self, MP_OBJECT_SET, name, out);
}

mp_rc_t mp_manager_namespace(mp_manager_t *self, const char *name, mp_object_t **out)
{
    return plain(self, MP_OBJECT_NAMESPACE, name, out);
}

mp_rc_t mp_manager_value(mp_manager_t *self, const char *name, mp_tree_t *initial,
                         mp_object_t **out)
{
    if (!initial)
        return mpx_fault(MP_ENOMEM, "the initial value is NULL");
    mp_object_options_t options = {.name = name, .initial = initial};
    return mp_manager_object(self, MP_OBJECT_VALUE, &options, out);
}

mp_rc_t mp_manager_array(mp_manager_t *self, const char *name, char typecode, mp_tree_t *initial,
                         mp_object_t **out)
{
    if (!initial)
        return mpx_fault(MP_ENOMEM, "the initial list is NULL");
    mp_object_options_t options = {.name = name, .typecode = typecode, .initial = initial};
    return mp_manager_object(self, MP_OBJECT_ARRAY, &options, out);
}

mp_rc_t mp_manager_queue(mp_manager_t *self, const char *name, size_t maxsize, mp_object_t **out)
{
    mp_object_options_t options = {.name = name, .max_items = maxsize};
    return mp_manager_object(self, MP_OBJECT_QUEUE, &options, out);
}

mp_rc_t mp_manager_joinable_queue(mp_manager_t *self, const char *name, size_t maxsize,
                                  mp_object_t **out)
{
    mp_object_options_t options = {.name = name, .max_items = maxsize};
    return mp_manager_object(self, MP_OBJECT_JOINABLE_QUEUE, &options, out);
}

mp_rc_t mp_manager_lock(mp_manager_t *self, const char *name, mp_object_t **out)
{
    return plain(self, MP_OBJECT_LOCK, name, out);
}

mp_rc_t mp_manager_rlock(mp_manager_t *self, const char *name, mp_object_t **out)
{
    return plain(self, MP_OBJECT_RLOCK, name, out);
}

static mp_rc_t units(mp_manager_t *self, mp_object_type_t type, const char *name, int value,
                     mp_object_t **out)
{
    if (value < 0)
        return mpx_fault(MP_EINVAL, "a semaphore of %d", value);
    mp_object_options_t options = {.name = name, .value = value ? value : -1};
    return mp_manager_object(self, type, &options, out);
}

mp_rc_t mp_manager_semaphore(mp_manager_t *self, const char *name, int value, mp_object_t **out)
{
    return units(self, MP_OBJECT_SEMAPHORE, name, value, out);
}

mp_rc_t mp_manager_bounded_semaphore(mp_manager_t *self, const char *name, int value,
                                     mp_object_t **out)
{
    return units(self, MP_OBJECT_BOUNDED_SEMAPHORE, name, value, out);
}

mp_rc_t mp_manager_event(mp_manager_t *self, const char *name, mp_object_t **out)
{
    return plain(self, MP_OBJECT_EVENT, name, out);
}

mp_rc_t mp_manager_condition(mp_manager_t *self, const char *name, mp_object_t *lock,
                             mp_object_t **out)
{
    mp_object_options_t options = {.name = name, .lock = lock};
    return mp_manager_object(self, MP_OBJECT_CONDITION, &options, out);
}

mp_rc_t mp_manager_barrier(mp_manager_t *self, const char *name, int parties, mp_object_t **out)
{
    if (parties < 1)
        return mpx_fault(MP_EINVAL, "a barrier of %d parties", parties);
    mp_object_options_t options = {.name = name, .value = parties};
    return mp_manager_object(self, MP_OBJECT_BARRIER, &options, out);
}

/* ---- looking
 * ------------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_manager_objects(mp_manager_t *self, mp_tree_t **out, int timeout_ms)
{
    return mpx_invoke_server(self->server, MPX_OBJECTS, timeout_ms, MPX_NO_ARGS,
                             MPX_TAKES({MPX_TAKE_TREE, out, 0, NULL}));
}

mp_rc_t mp_manager_stat(mp_manager_t *self, mp_tree_t **out, int timeout_ms)
{
    return mpx_invoke_server(self->server, MPX_SERVER, timeout_ms, MPX_NO_ARGS,
                             MPX_TAKES({MPX_TAKE_TREE, out, 0, NULL}));
}
