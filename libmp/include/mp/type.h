/* type.h: types of objects of your own, for a manager.
 *
 *     static mp_rc_t make(const mp_tree_t *from, void **self) { … }
 *     static mp_rc_t count(void *self, const mp_tree_t *args, mp_tree_t **result) { … }
 *     static const mp_method_def_t methods[] = {{"count", count}};
 *     MP_OBJECT_TYPE(counter, .create = make, .destroy = free, .methods = methods,
 *                    .methods_count = 1);
 *
 * The server is the program that registered the type: the process that mp_manager_start forks
 * from it, mp_manager_serve, or an mp-broker with --types MODULE.so. A client makes one with
 * mp_manager_object(manager, MP_OBJECT_CUSTOM, &(mp_object_options_t){.custom = "counter"},
 * &object) and calls its methods by name; only those in the list can be called. They run one at a
 * time, in the server, so they must not block; one that crashes takes the server along. What they
 * keep is memory only.
 */
#ifndef MP_TYPE_H
#define MP_TYPE_H

#include <mp/object.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_method_def {
    const char *name;
    /* args    a tree, or NULL; of the caller
     * result  NULL at first; taken over
     * Returns MP_OK, or a code that the client gets, with the words of mp_type_fail. */
    mp_rc_t (*call)(void *self, const mp_tree_t *args, mp_tree_t **result);
} mp_method_def_t;

typedef struct mp_object_type_def {
    const char *name;
    mp_rc_t (*create)(const mp_tree_t *from, void **self); /* NULL: self is NULL */
    void (*destroy)(void *self);                           /* may be NULL */
    const mp_method_def_t *methods;
    size_t methods_count;
} mp_object_type_def_t;

/* It must stay valid. MP_OK; MP_EEXIST; MP_EINVAL; MP_ENOMEM. */
MP_API mp_rc_t mp_object_type_enter(const mp_object_type_def_t *type);
#define MP_OBJECT_TYPE(type, ...)                                                                  \
    static const mp_object_type_def_t type##_mp_type = {.name = #type, __VA_ARGS__};               \
    __attribute__((constructor)) static void type##_mp_enter_type(void)                            \
    {                                                                                              \
        (void)mp_object_type_enter(&type##_mp_type);                                               \
    }                                                                                              \
    extern const int type##_mp_semicolon_

/* All of this program: a list that ends with NULL, or NULL. */
MP_API const mp_object_type_def_t *const *mp_object_types(void);

/* In a method: `return mp_type_fail(MP_EINVAL, "…", …);`. Returns the code. */
MP_API mp_rc_t mp_type_fail(mp_rc_t rc, const char *format, ...) MP_PRINTF(2, 3);

/* Call a method of a custom object.
 * args    taken over, also on failure; may be NULL
 * result  to be destroyed by the caller; may be NULL, and is NULL for a method without one
 * MP_OK; MP_ENOTFOUND no such method; what the method returns; and the codes of object.h. */
MP_API mp_rc_t mp_object_call(mp_object_t *self, const char *method, mp_tree_t *args,
                              mp_tree_t **result, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
