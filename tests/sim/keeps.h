/* keeps.h: the jobs that clients have left to the broker, what was promised about them, and what
 * became of that. It outlives clients, as a note on paper does.
 *
 * Their calls are orders of client 0. Dead letters that are to run again become a job of their own
 * here too, with the same orders: what begins is the last one of a row. */
#ifndef SIM_KEEPS_H
#define SIM_KEEPS_H

#include "world.h"

enum { KEEP_CALLS_MAX = 24, KEEPS_MAX = 64, KEEP_TEXT = 40 };

typedef struct fate {
    unsigned begun;
    uint32_t attempt; /* the last one that was begun */
    bool given;       /* at least once; then it is always the same */
    bool buried;      /* a dead letter was seen, of this number: */
    uint64_t letter;
    mp_rc_t rc;
    struct keep *again; /* the job in which it was asked to run again, */
    uint32_t again_at;  /* as this call of it */
    int64_t rose_at;    /* when the broker said that it will; 0: it hasn't */
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
    bool asked;               /* it is to be made of dead letters: no word of that yet */
    bool calm;                /* nothing disturbs it: it was asked for at the end */
    uint64_t token;           /* of who asked */
    bool vague;               /* it has not all of these calls: nobody knows which */
    unsigned missed;          /* lists that must name it, and have not yet: clients, as bits */
} keep_t;

void keeps_reset(void);
keep_t *keep_new(void); /* NULL: there are enough */
/* Any that isn't over, or NULL. */
keep_t *keep_some(void);
keep_t *keep_at(size_t i); /* NULL: there are fewer */

/* A dead letter: how that call ended. */
typedef struct letter {
    uint64_t number;
    keep_t *keep;
    uint32_t index;
} letter_t;
/* Whether both may become one job, and nobody has asked that of the first one. */
bool letter_goes_with(const letter_t *letter, const letter_t *other);
/* The job that these are to become, by rising numbers; calm: nothing will disturb it. NULL: there
 * are enough. */
keep_t *keep_again(const letter_t *letters, unsigned letters_count, bool calm);
/* It is there, and the letters are not; fewer calls: some of these were lost with the broker. */
void keep_rose(keep_t *keep, uint32_t calls);
void keep_fell(keep_t *keep);       /* it will not be */
void keep_is_unknown(keep_t *keep); /* whoever asked is dead */
bool keeps_asked(void);             /* some of them is to come */
/* An id that a new job can't have. false: none comes to mind. */
bool keeps_taken_id(char id[KEEP_TEXT]);

/* The broker may have lost all, and have been told anew. */
bool keeps_forgets(void);
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
/* A dead letter is there, of that job, in a list that was asked for then; and there are no others.
 */
keep_t *keeps_letter(const char *id, uint64_t index, uint64_t number, mp_rc_t rc, int64_t asked_at);
void keeps_letters_end(void);

void keeps_list_open(void); /* to the trace */

#endif
