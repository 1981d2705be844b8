/* morgue.h: dead letters: calls that ended badly, with what they were to do and how they ended.
 *
 * Only a list, the oldest first, bounded by bytes. A letter is one block, as it lies on the disk.
 * One that leaves isn't found any more, but comes back if the disk doesn't let it go.
 */
#ifndef MPX_MORGUE_H
#define MPX_MORGUE_H

#include "job_body.h"

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>

typedef struct mpx_letter {
    struct mpx_letter *prev, *next;
    uint64_t number; /* rises */
    uint64_t time_ms;
    uint64_t index;      /* of the call in its job */
    uint32_t item_bytes; /* 0: inputs of any size */
    const char *task;    /* this and what follows: in the block */
    const char *owner;   /* of its job */
    mp_bytes_t keep;     /* a Keep: how its job was run */
    mp_bytes_t input;
    mp_bytes_t record; /* packed */
    bool leaves;
    bool unlisted;
    UT_hash_handle hh;
    size_t size;
    unsigned char block[];
} mpx_letter_t;

typedef struct mpx_morgue {
    uint64_t max_bytes;
    uint64_t bytes;
    uint64_t last_number;
    uint64_t dropped; /* for want of room, since the start */
    size_t leaving;   /* so many */
    mpx_letter_t *letters;
    mpx_letter_t *by_number;
} mpx_morgue_t;

/* The block of a letter. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_letter_pack(const mpx_letter_t *letter, mpx_buf_t *out);
/* Add one by its block. MP_OK; MP_ECORRUPT it isn't one; MP_ENOMEM. */
mp_rc_t mpx_morgue_add(mpx_morgue_t *self, uint64_t number, mp_bytes_t block, mpx_letter_t **out);
/* The oldest, while there are more bytes than there may be; or NULL. */
mpx_letter_t *mpx_morgue_excess(mpx_morgue_t *self);
mpx_letter_t *mpx_morgue_find(const mpx_morgue_t *self, uint64_t number);
/* The first one behind a number; or NULL. */
mpx_letter_t *mpx_morgue_next(const mpx_morgue_t *self, uint64_t after);
void mpx_morgue_drop(mpx_morgue_t *self, mpx_letter_t *letter);
/* To be dropped by mpx_morgue_settle. */
void mpx_morgue_leave(mpx_morgue_t *self, mpx_letter_t *letter);
/* Those that leave are gone, or they stay. */
void mpx_morgue_settle(mpx_morgue_t *self, bool gone);
void mpx_morgue_free(mpx_morgue_t *self);

/* What is told of it. Strings are valid until both arenas are freed. MP_OK; MP_EPROTO; MP_ENOMEM.
 */
typedef struct mpx_letter_arenas {
    void *keep;
    void *open;
    void *failure;
} mpx_letter_arenas_t;
mp_rc_t mpx_letter_describe(const mpx_letter_t *letter, mpx_dead_letter_t *out,
                            mpx_letter_arenas_t *arenas);
void mpx_letter_arenas_free(mpx_letter_arenas_t *arenas);

#endif
