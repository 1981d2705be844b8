/* keeps.h: the jobs that clients have left to the broker, what was promised about them, and what
 * became of that. It outlives clients, as a note on paper does.
 *
 * Their calls are orders of client 0. */
#ifndef SIM_KEEPS_H
#define SIM_KEEPS_H

#include "world.h"

enum { KEEP_CALLS_MAX = 24, KEEPS_MAX = 64, KEEP_TEXT = 40 };

typedef struct fate {
    unsigned begun;
    uint32_t attempt; /* the last one that was begun */
    bool given;       /* at least once; then it is always the same */
    bool buried;      /* a dead letter was seen */
    mp_rc_t rc;
} fate_t;

typedef struct keep {
    uint16_t number;
    char id[KEEP_TEXT];
    char key[KEEP_TEXT];   /* "": none, else it is submitted again and again */
    char there[KEEP_TEXT]; /* of one with a key: the id that it has at the broker */
    uint8_t task, needs;
    bool fixed; /* items of one size */
    bool limited;
    bool dead_letters;
    uint32_t chunk_calls;
    int keep_ms; /* 0: as long as the broker likes */
    terms_t terms;
    uint32_t calls;
    order_t orders[KEEP_CALLS_MAX];
    fate_t fates[KEEP_CALLS_MAX];
    unsigned visits, visited; /* open ones; ever */
    bool sure;                /* the broker has said that it has all of it, its end too */
    bool cancelled;           /* somebody has asked for that */
    bool may_go;              /* it may be gone: somebody has asked for that, or has had all */
    bool over;                /* nobody has to come any more */
    unsigned missed;          /* lists that must name it, and have not yet: clients, as bits */
} keep_t;

void keeps_reset(void);
keep_t *keep_new(void); /* NULL: there are enough */
/* Any that isn't over, or NULL. */
keep_t *keep_some(void);
keep_t *keep_at(size_t i); /* NULL: there are fewer */

/* The broker may have lost it, or never had it. */
bool keep_may_be_gone(const keep_t *keep);
void keep_begun(const order_t *order, uint32_t attempt);
/* A client was given an outcome. */
void keep_given(keep_t *keep, uint64_t index, mp_rc_t rc, mp_bytes_t value);
/* And that there are no more, behind so many. */
void keep_ended(const keep_t *keep, uint64_t count);

/* A list of jobs is asked for by the client of that number; a row of it; its end. */
void keeps_list(int client);
void keeps_listed(int client, const char *id);
void keeps_list_end(int client);
/* A dead letter is there; and there are no others. */
void keeps_letter(const char *id, uint64_t index, mp_rc_t rc);
void keeps_letters_end(void);

void keeps_list_open(void); /* to the trace */

#endif
