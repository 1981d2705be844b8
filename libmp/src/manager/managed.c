#include "clock.h"
#include "fault.h"
#include "invoke.h"
#include "life.h"

#include <mp/list.h>
#include <mp/managed.h>
#include <string.h>

#define TREE(out)                                                                                  \
    {                                                                                              \
        MPX_TAKE_TREE, (out), 0, NULL                                                              \
    }
#define NUMBER(out)                                                                                \
    {                                                                                              \
        MPX_TAKE_NUMBER, (out), 0, NULL                                                            \
    }
#define BOOL(out)                                                                                  \
    {                                                                                              \
        MPX_TAKE_BOOL, (out), 0, NULL                                                              \
    }
#define SIZE(out)                                                                                  \
    {                                                                                              \
        MPX_TAKE_SIZE, (out), 0, NULL                                                              \
    }
#define THREAD MPX_NUMBER(mpx_thread_self())

/* ---- Value
 * ---------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_managed_value_set(mp_object_t *self, mp_tree_t *value, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_VALUE_SET, timeout_ms, MPX_ARGS(MPX_TREE(value)), MPX_NO_TAKES);
}

mp_rc_t mp_managed_value_get(mp_object_t *self, mp_tree_t **out, uint64_t *version, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_VALUE_GET, timeout_ms, MPX_NO_ARGS,
                      MPX_TAKES(TREE(out), NUMBER(version)));
}

mp_rc_t mp_managed_value_add(mp_object_t *self, int64_t delta, int64_t *result, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_VALUE_ADD, timeout_ms, MPX_ARGS(MPX_TREE(mp_tree_int(delta))),
                      MPX_TAKES({MPX_TAKE_INT, result, 0, NULL}));
}

mp_rc_t mp_managed_value_add_float(mp_object_t *self, double delta, double *result, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_VALUE_ADD, timeout_ms, MPX_ARGS(MPX_TREE(mp_tree_float(delta))),
                      MPX_TAKES({MPX_TAKE_FLOAT, result, 0, NULL}));
}

mp_rc_t mp_managed_value_compare_and_set(mp_object_t *self, uint64_t version, mp_tree_t *value,
                                         uint64_t *now, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_VALUE_CAS, timeout_ms,
                      MPX_ARGS(MPX_NUMBER(version), MPX_TREE(value)), MPX_TAKES(NUMBER(now)));
}

/* ---- Array: a list that keeps its length and type
 * ------------------------------------------------------------- */

mp_rc_t mp_managed_array_set(mp_object_t *self, int64_t index, mp_tree_t *value, int timeout_ms)
{
    return mp_list_set(self, index, value, timeout_ms);
}

mp_rc_t mp_managed_array_get(mp_object_t *self, int64_t index, mp_tree_t **out, int timeout_ms)
{
    return mp_list_get(self, index, out, timeout_ms);
}

mp_rc_t mp_managed_array_add(mp_object_t *self, int64_t index, int64_t delta, int64_t *result,
                             int timeout_ms)
{
    return mp_list_add(self, index, delta, result, timeout_ms);
}

mp_rc_t mp_managed_array_len(mp_object_t *self, size_t *out, int timeout_ms)
{
    return mp_list_len(self, out, timeout_ms);
}

mp_rc_t mp_managed_array_get_slice(mp_object_t *self, int64_t start, int64_t stop, int64_t step,
                                   mp_tree_t **out, int timeout_ms)
{
    return mp_list_get_slice(self, start, stop, step, out, timeout_ms);
}

mp_rc_t mp_managed_array_set_slice(mp_object_t *self, int64_t start, int64_t stop, int64_t step,
                                   mp_tree_t *list, int timeout_ms)
{
    return mp_list_set_slice(self, start, stop, step, list, timeout_ms);
}

/* ---- Queue
 * -------------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_managed_queue_put(mp_object_t *self, mp_tree_t *item, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_QUEUE_PUT, timeout_ms, MPX_ARGS(MPX_TREE(item)), MPX_NO_TAKES);
}

mp_rc_t mp_managed_queue_put_bytes(mp_object_t *self, const void *data, size_t size, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_QUEUE_PUT, timeout_ms,
                      MPX_ARGS(MPX_ITEM(MP_ITEM_BYTES, data, size)), MPX_NO_TAKES);
}

mp_rc_t mp_managed_queue_get(mp_object_t *self, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_QUEUE_GET, timeout_ms, MPX_ARGS(THREAD), MPX_TAKES(TREE(out)));
}

mp_rc_t mp_managed_queue_get_item(mp_object_t *self, mp_item_t *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_QUEUE_GET, timeout_ms, MPX_ARGS(THREAD),
                      MPX_TAKES({MPX_TAKE_ITEM, out, 0, NULL}, {MPX_TAKE_AGAIN, out, 0, NULL}));
}

mp_rc_t mp_managed_queue_task_done(mp_object_t *self, int timeout_ms)
{
    if (self->type == MP_OBJECT_QUEUE)
        return mpx_fault(MP_ESTATE, "the queue isn't joinable");
    return MPX_INVOKE(self, MPX_QUEUE_DONE, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_managed_queue_join(mp_object_t *self, int timeout_ms)
{
    if (self->type == MP_OBJECT_QUEUE)
        return mpx_fault(MP_ESTATE, "the queue isn't joinable");
    return MPX_INVOKE(self, MPX_QUEUE_JOIN, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_managed_queue_qsize(mp_object_t *self, size_t *out, int timeout_ms)
{
    mp_rc_t rc = mpx_object_is(self, MPX_T_QUEUE);
    if (rc != MP_OK)
        return rc;
    return MPX_INVOKE(self, MPX_LEN, timeout_ms, MPX_NO_ARGS, MPX_TAKES(SIZE(out)));
}

mp_rc_t mp_managed_queue_empty(mp_object_t *self, bool *out, int timeout_ms)
{
    size_t size = 0;
    if (self->pipeline)
        return mpx_fault(MP_EINVAL, "in a pipeline, ask for the qsize");
    mp_rc_t rc = mp_managed_queue_qsize(self, &size, timeout_ms);
    if (rc == MP_OK)
        *out = size == 0;
    return rc;
}

mp_rc_t mp_managed_queue_full(mp_object_t *self, bool *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_QUEUE_FULL, timeout_ms, MPX_NO_ARGS, MPX_TAKES(BOOL(out)));
}

/* ---- Lock
 * -----------------------------------------------------------------------------------------------------------
 */

static mp_rc_t acquire(mp_object_t *self, uint64_t *token, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LOCK_ACQUIRE, timeout_ms, MPX_ARGS(THREAD),
                      MPX_TAKES(NUMBER(token)));
}

static mp_rc_t release(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LOCK_RELEASE, timeout_ms, MPX_ARGS(THREAD), MPX_NO_TAKES);
}

mp_rc_t mp_managed_lock_acquire(mp_object_t *self, uint64_t *token, int timeout_ms)
{
    return acquire(self, token, timeout_ms);
}

mp_rc_t mp_managed_lock_release(mp_object_t *self, int timeout_ms)
{
    return release(self, timeout_ms);
}

mp_rc_t mp_managed_lock_locked(mp_object_t *self, bool *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_LOCK_LOCKED, timeout_ms, MPX_NO_ARGS, MPX_TAKES(BOOL(out)));
}

/* ---- Semaphore
 * --------------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_managed_semaphore_acquire(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_UNIT_ACQUIRE, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_managed_semaphore_release(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_UNIT_RELEASE, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_managed_semaphore_value(mp_object_t *self, int64_t *out, int timeout_ms)
{
    mp_object_stat_t stat;
    mp_rc_t rc = mpx_object_is(self, MPX_T_UNITS);
    if (rc == MP_OK)
        rc = mp_object_stat(self, &stat, timeout_ms);
    if (rc == MP_OK)
        *out = (int64_t)stat.items;
    return rc;
}

/* ---- Event
 * ----------------------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_managed_event_set(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_EVENT_SET, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_managed_event_clear(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_EVENT_CLEAR, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_managed_event_is_set(mp_object_t *self, bool *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_EVENT_IS_SET, timeout_ms, MPX_NO_ARGS, MPX_TAKES(BOOL(out)));
}

mp_rc_t mp_managed_event_wait(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_EVENT_WAIT, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

/* ---- Condition
 * --------------------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_managed_condition_acquire(mp_object_t *self, uint64_t *token, int timeout_ms)
{
    return acquire(self, token, timeout_ms);
}

mp_rc_t mp_managed_condition_release(mp_object_t *self, int timeout_ms)
{
    return release(self, timeout_ms);
}

mp_rc_t mp_managed_condition_wait(mp_object_t *self, int timeout_ms)
{
    bool late = false;
    if (self->pipeline)
        return mpx_fault(MP_EINVAL, "a condition's wait doesn't go into a pipeline");
    mp_rc_t rc = MPX_INVOKE(self, MPX_CONDITION_WAIT, timeout_ms, MPX_ARGS(THREAD),
                            MPX_TAKES(NUMBER(NULL), BOOL(&late)));
    return rc == MP_OK && late ? mpx_fault(MP_ETIMEDOUT, "it was not notified in time") : rc;
}

mp_rc_t mp_managed_condition_wait_for(mp_object_t *self, bool (*predicate)(void *arg), void *arg,
                                      int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    mp_rc_t rc = MP_OK;
    while (!predicate(arg)) {
        int left = timeout_ms < 0 ? -1 : mpx_poll_ms(mpx_now(), deadline);
        rc = mp_managed_condition_wait(self, left);
        if (rc != MP_OK && rc != MP_ETIMEDOUT)
            return rc;
        if (rc == MP_ETIMEDOUT)
            return predicate(arg) ? MP_OK : rc;
    }
    return MP_OK;
}

mp_rc_t mp_managed_condition_notify(mp_object_t *self, int n, int timeout_ms)
{
    if (n < 0)
        return mpx_fault(MP_EINVAL, "%d to be notified", n);
    return MPX_INVOKE(self, MPX_CONDITION_NOTIFY, timeout_ms, MPX_ARGS(THREAD, MPX_NUMBER(n)),
                      MPX_NO_TAKES);
}

mp_rc_t mp_managed_condition_notify_all(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_CONDITION_NOTIFY, timeout_ms,
                      MPX_ARGS(THREAD, MPX_NUMBER(UINT64_MAX)), MPX_NO_TAKES);
}

/* ---- Barrier
 * ------------------------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_managed_barrier_wait(mp_object_t *self, int *index, int timeout_ms)
{
    uint64_t number = 0;
    if (self->pipeline)
        return mpx_fault(MP_EINVAL, "a barrier's wait doesn't go into a pipeline");
    mp_rc_t rc =
        MPX_INVOKE(self, MPX_BARRIER_WAIT, timeout_ms, MPX_NO_ARGS, MPX_TAKES(NUMBER(&number)));
    if (rc == MP_OK && index)
        *index = (int)number;
    return rc;
}

mp_rc_t mp_managed_barrier_abort(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_BARRIER_ABORT, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_managed_barrier_reset(mp_object_t *self, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_BARRIER_RESET, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_managed_barrier_stat(mp_object_t *self, mp_managed_barrier_stat_t *out, int timeout_ms)
{
    uint64_t parties = 0, waiting = 0;
    bool broken = false;
    if (self->pipeline)
        return mpx_fault(MP_EINVAL, "a stat doesn't go into a pipeline");
    mp_rc_t rc = MPX_INVOKE(self, MPX_BARRIER_STAT, timeout_ms, MPX_NO_ARGS,
                            MPX_TAKES(NUMBER(&parties), NUMBER(&waiting), BOOL(&broken)));
    if (rc == MP_OK)
        *out = (mp_managed_barrier_stat_t){(int)parties, (int)waiting, broken};
    return rc;
}
