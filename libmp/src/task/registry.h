/* registry.h: things known by name, entered when their program or module is loaded.
 *
 * An append-only list that readers walk without a lock, so that a fork in the middle of
 * another thread's enter leaves the child a usable one.
 */
#ifndef MPX_REGISTRY_H
#define MPX_REGISTRY_H

#include <mp/task.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct mpx_entry {
    const char *name;
    const void *thing;
    _Atomic(struct mpx_entry *) next;
} mpx_entry_t;

typedef struct mpx_registry {
    _Atomic(mpx_entry_t *) first;
} mpx_registry_t;

/* Whether it is 1 to MP_TASK_NAME_MAX letters, digits, '_', '.' and '-'. */
bool mpx_registry_is_name(const char *name);

/* `name` and `thing` must stay valid. Entering the same thing twice is harmless.
 * MP_OK; MP_EEXIST another one has the name; MP_ENOMEM. */
mp_rc_t mpx_registry_enter(mpx_registry_t *self, const char *name, const void *thing);

/* NULL: none of that name. */
const void *mpx_registry_find(const mpx_registry_t *self, const char *name);
/* The i-th in the order in which they were entered; NULL past the last. */
const void *mpx_registry_at(const mpx_registry_t *self, size_t i);
size_t mpx_registry_count(const mpx_registry_t *self);

/* All tasks of this process, for whoever advertises them. */
extern mpx_registry_t mpx_tasks;

#endif
