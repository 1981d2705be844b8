/* facts.h: what STAT is answered with: dicts as MessagePack, one after another, for people and
 * programs (proto/STAT.md). Facts are gathered, and told in payloads of at most 64 KiB. */
#ifndef MPX_FACTS_H
#define MPX_FACTS_H

#include "scene.h"

typedef struct mpx_facts {
    mpx_buf_t out;
    void *arg;
    bool (*tell)(void *arg, mp_bytes_t payload); /* false: no more, please */
    mp_rc_t rc;                                  /* MP_OK; MP_ELIMIT it said so; MP_ENOMEM */
} mpx_facts_t;

/* A pair of a fact. */
typedef struct mpx_pair {
    const char *key;
    enum { MPX_PAIR_INT, MPX_PAIR_REAL, MPX_PAIR_BOOL, MPX_PAIR_TEXT, MPX_PAIR_NULL } type;
    int64_t integer;
    double real;
    const char *text;
} mpx_pair_t;
#define MPX_INT(name, number)                                                                      \
    {                                                                                              \
        .key = name, .type = MPX_PAIR_INT, .integer = (int64_t)(number)                            \
    }
#define MPX_REAL(name, number)                                                                     \
    {                                                                                              \
        .key = name, .type = MPX_PAIR_REAL, .real = (number)                                       \
    }
#define MPX_BOOL(name, truth)                                                                      \
    {                                                                                              \
        .key = name, .type = MPX_PAIR_BOOL, .integer = (truth)                                     \
    }
#define MPX_TEXT_OF(name, words)                                                                   \
    {                                                                                              \
        .key = name, .type = MPX_PAIR_TEXT, .text = (words)                                        \
    }

/* Whose a job is, and its name there: numbers; of a kept one null, and its id. */
#define MPX_OWNER(it)                                                                              \
    {                                                                                              \
        .key = "client", .type = (it)->account ? MPX_PAIR_INT : MPX_PAIR_NULL,                     \
        .integer = (it)->account ? (int64_t)(it)->account->serial : 0                              \
    }
#define MPX_JOB(name, it)                                                                          \
    {                                                                                              \
        .key = name, .type = (it)->account ? MPX_PAIR_INT : MPX_PAIR_TEXT,                         \
        .integer = (int64_t)(it)->job, .text = (it)->kept.id                                       \
    }

/* A fact with these pairs, and behind them a list of names unless `names` is NULL, which ends with
 * NULL and is cut where it gets long. */
void mpx_facts_add(mpx_facts_t *self, const mpx_pair_t *pairs, size_t count, const char *list,
                   const char *const *names);
/* Tell what is gathered, and free the memory. MP_OK; MP_ELIMIT; MP_ENOMEM. */
mp_rc_t mpx_facts_end(mpx_facts_t *self);

/* All there is to `mp stat`. */
void mpx_facts_tell_all(mpx_facts_t *self, const mpx_scene_t *scene);

#endif
