#include "fault.h"
#include "invoke.h"

#include <mp/type.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Filled by constructors and before a manager is started: a list that ends with NULL. */
static const mp_object_type_def_t **types;
static size_t count;

const mp_object_type_def_t *const *mp_object_types(void)
{
    return types;
}

mp_rc_t mp_object_type_enter(const mp_object_type_def_t *type)
{
    if (!type || !type->name || !*type->name || (type->methods_count && !type->methods))
        return mpx_fault(MP_EINVAL, "a type without a name, or without its methods");
    for (size_t i = 0; i < count; i++)
        if (strcmp(types[i]->name, type->name) == 0)
            return types[i] == type ? MP_OK
                                    : mpx_fault(MP_EEXIST, "a type '%s' is there", type->name);
    const mp_object_type_def_t **longer =
        (const mp_object_type_def_t **)realloc((void *)types, (count + 2) * sizeof *types);
    if (!longer)
        return mpx_fault(MP_ENOMEM, "the type '%s'", type->name);
    types = longer;
    types[count++] = type;
    types[count] = NULL;
    return MP_OK;
}

mp_rc_t mp_type_fail(mp_rc_t rc, const char *format, ...)
{
    mpx_buf_t words = {.max = 400};
    va_list args;
    va_start(args, format);
    mp_rc_t added = mpx_buf_vprintf(&words, format, args);
    va_end(args);
    rc = mpx_fault(rc, "%.*s", added == MP_OK ? (int)words.size : 0, (const char *)words.data);
    mpx_buf_free(&words);
    return rc;
}

mp_rc_t mp_object_call(mp_object_t *self, const char *method, mp_tree_t *args, mp_tree_t **result,
                       int timeout_ms)
{
    mp_item_t item = {.data = NULL};
    if (!method || self->pipeline) {
        mp_tree_destroy(&args);
        return mpx_fault(MP_EINVAL, "no method, or one in a pipeline");
    }
    mpx_arg_t all[] = {MPX_ITEM(MP_ITEM_BYTES, method, strlen(method)), MPX_TREE(args)};
    const mpx_take_t takes[] = {{MPX_TAKE_REST, &item, 0, NULL}};
    mp_rc_t rc = mpx_invoke(self, MPX_CUSTOM_CALL, timeout_ms, all, args ? 2 : 1, takes, 1);
    if (rc == MP_OK && result)
        *result = NULL;
    if (rc == MP_OK && result && item.data)
        rc = mp_item_tree(&item, result);
    mp_item_clear(&item);
    return rc;
}
