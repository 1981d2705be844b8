/* keep_suite.h: what the suites about a broker with a data directory share (keep_broker.h). */
#ifndef KEEP_SUITE_H
#define KEEP_SUITE_H

#include "keep_broker.h"
#include "ok.h"
#include "suite.h"

enum { LONG_MS = 20000 };

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        int64_t until_ = keep_now_ms() + LONG_MS;                                                  \
        while (!(condition)) {                                                                     \
            ck_assert_msg(keep_now_ms() < until_, "waited in vain for %s", #condition);            \
            keep_sleep_us(2000);                                                                   \
        }                                                                                          \
    } while (0)

static keep_t keep;

static inline mp_manager_t *manager_of(void)
{
    mp_manager_t *manager = NULL;
    OK(mp_manager_connect(keep.address, NULL, 0, LONG_MS, &manager));
    return manager;
}

static inline mp_manager_t *begin(void)
{
    keep_make(&keep);
    keep_start(&keep);
    return manager_of();
}

static inline void finish(mp_manager_t **manager)
{
    mp_manager_destroy(manager);
    keep_clear(&keep);
}

static inline mp_object_t *named(mp_manager_t *manager, mp_object_type_t type, const char *name)
{
    mp_object_t *object = NULL;
    OK(mp_manager_object(manager, type, &(mp_object_options_t){.name = name}, &object));
    return object;
}

static inline bool has(mp_object_t *dict, const char *key)
{
    bool is = false;
    OK(mp_dict_contains(dict, MP_K(key), &is, LONG_MS));
    return is;
}

/* A call that was under way into the old one, or seemed to be, is told so. */
static inline void reach(mp_manager_t *manager)
{
    mp_tree_t *out = NULL;
    mp_rc_t rc = mp_manager_stat(manager, &out, LONG_MS);
    if (rc == MP_EPEERLOST)
        rc = mp_manager_stat(manager, &out, LONG_MS);
    OK(rc);
    mp_tree_destroy(&out);
}

static inline void restart(mp_manager_t *manager, int number)
{
    keep_end(&keep, number);
    keep_start(&keep);
    reach(manager);
}

/* A process that held something hears that once from each handle. */
static inline void held_something(mp_object_t *object)
{
    mp_object_stat_t stat;
    IS(mp_object_stat(object, &stat, LONG_MS), MP_ELEASE);
    OK(mp_object_stat(object, &stat, LONG_MS));
}

#endif
