#include <mp/shared_memory.h>

#include "dock.h"
#include "fault.h"
#include "forkguard.h"

#include <pthread.h>
#include <stdlib.h>

/* One that was made: enough to unlink it, also when every handle is gone. */
typedef struct made {
    mpx_berth_t berth;
    struct made *next;
} made_t;

struct mp_shared_memory_manager {
    pthread_mutex_t lock;
    uint64_t generation;
    made_t *made;
};

mp_rc_t mp_shared_memory_manager_new(mp_shared_memory_manager_t **out)
{
    mp_shared_memory_manager_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a manager");
    pthread_mutex_init(&self->lock, NULL);
    self->generation = mpx_fork_generation();
    *out = self;
    return MP_OK;
}

/* A second hold on the block, given up at once: what unlink needs stays. */
static mp_rc_t remember(mp_shared_memory_manager_t *self, const mp_shared_memory_t *block)
{
    made_t *made = calloc(1, sizeof *made);
    if (!made)
        return mpx_fault(MP_ENOMEM, "a manager's block");
    mp_rc_t rc = mpx_dock_attach(mp_shared_memory_name(block), &made->berth);
    if (rc != MP_OK) {
        free(made);
        return rc;
    }
    mpx_dock_close(&made->berth);
    pthread_mutex_lock(&self->lock);
    made->next = self->made;
    self->made = made;
    pthread_mutex_unlock(&self->lock);
    return MP_OK;
}

static mp_rc_t check_process(const mp_shared_memory_manager_t *self)
{
    return self->generation == mpx_fork_generation()
               ? MP_OK
               : mpx_fault(MP_EFORKED, "the manager is another process's");
}

mp_rc_t mp_shared_memory_manager_block(mp_shared_memory_manager_t *self, size_t bytes,
                                       mp_shared_memory_t **out)
{
    mp_shared_memory_t *block = NULL;
    mp_rc_t rc = check_process(self);
    if (rc == MP_OK)
        rc = mp_shared_memory_create(NULL, bytes, &block);
    if (rc != MP_OK)
        return rc;
    rc = remember(self, block);
    if (rc != MP_OK) {
        (void)mp_shared_memory_unlink(block);
        mp_shared_memory_destroy(&block);
        return rc;
    }
    *out = block;
    return MP_OK;
}

mp_rc_t mp_shared_memory_manager_list(mp_shared_memory_manager_t *self, const mp_scalar_t *items,
                                      size_t count, mp_shareable_list_t **out)
{
    mp_shareable_list_t *list = NULL;
    mp_rc_t rc = check_process(self);
    if (rc == MP_OK)
        rc = mp_shareable_list_new(items, count, NULL, &list);
    if (rc != MP_OK)
        return rc;
    rc = remember(self, mp_shareable_list_shm(list));
    if (rc != MP_OK) {
        (void)mp_shared_memory_unlink(mp_shareable_list_shm(list));
        mp_shareable_list_destroy(&list);
        return rc;
    }
    *out = list;
    return MP_OK;
}

void mp_shared_memory_manager_destroy(mp_shared_memory_manager_t **self_p)
{
    mp_shared_memory_manager_t *self = *self_p;
    if (!self)
        return;
    bool own = check_process(self) == MP_OK;
    while (self->made) {
        made_t *made = self->made;
        self->made = made->next;
        if (own)
            (void)mpx_dock_unlink(&made->berth);
        free(made);
    }
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
