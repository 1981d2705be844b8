/* crew_private.h: what a crew knows of its executors. Only for crew.c (life, sending, size) and
 * news.c (what executors and the nursery say). */
#ifndef MPX_CREW_PRIVATE_H
#define MPX_CREW_PRIVATE_H

#include "crew.h"
#include "depot.h"
#include "lane.h"
#include "nursery.h"
#include "outbox.h"

#include <sys/epoll.h>

/*                +----------------- spawned again ------------------+
 *                v                                                  |
 *     EMPTY -> STARTING --HELLO--> UP --exit--> DEAD --lane is read-+--> EMPTY
 *                 +-------------- exit ----------^
 *
 * ORPHANED: the nursery is gone; the executor is being killed, and DEAD once its lane ends. */
typedef enum slot_state { EMPTY, STARTING, UP, ORPHANED, DEAD } slot_state_t;

/* What a call has written, to be handed out. */
typedef struct said {
    uint64_t worker;
    mpx_header_t header;
    struct said *prev, *next;
    size_t size;
    char bytes[];
} said_t;

typedef struct slot {
    uint32_t number;
    slot_state_t state;
    bool probe;       /* the executor tries a module */
    bool surplus;     /* when its executor has ended there is no other */
    bool dismissed;   /* the executor was told */
    bool hung_up;     /* its lane has ended */
    int64_t asked_at; /* for the executor */
    uint64_t worker;
    pid_t pid;
    int status;         /* of a dead one, as from waitpid */
    char *error_output; /* the same; NULL: nothing known */
    char *backtrace;
    mpx_lane_t *lane;
    mpx_outbox_t outbox;
    mpx_lane_t *nested; /* for calls of its own; NULL: it has none */
    mpx_outbox_t nested_outbox;
    bool nested_unrung;
    mpx_want_t want; /* of memory, of a dead one */
    uint64_t taken_bytes;
    mpx_stay_t *stays; /* of chunks that it has, in shared memory */
    bool unrung;       /* was sent something since the last wake */
    bool was_up;
    bool proven;  /* some executor of it was up */
    bool retired; /* by its own will */
    bool salvaged;
} slot_t;

struct mpx_crew {
    mpx_crew_options_t options;
    char **load; /* its names */
    mpx_nursery_t nursery;
    int epoll;
    uint64_t generation;
    uint64_t last_worker;
    slot_t **slots;
    uint32_t slots_count;
    struct epoll_event *events; /* room for one of each slot, and of the nursery */
    uint32_t scan;              /* slot to look at next */
    slot_t *reading;            /* whose record was handed out last, */
    bool reading_nested;        /* from its nested lane */
    mpx_depot_t *depot;
    mpx_stay_t *finished; /* the chunk whose last results were handed out last, of `reading` */
    mpx_buf_t scratch;
    char *words[2];          /* of the DOWN that was handed out last */
    bool asleep;             /* sleep said true: descriptors may have news */
    unsigned quiet_turns;    /* since descriptors were looked at */
    unsigned failed_starts;  /* executors in a row that died before they were up */
    unsigned nursery_deaths; /* without a result in between */
    uint32_t unproven;       /* of the slots that it was made with */
    bool failed;
    bool loading; /* a module is tried */
    bool failure_told;
    mp_rc_t failure;
    char problem[1024];
    said_t *said; /* oldest first */
    char *modules[MPX_MODULES_MAX];
    uint32_t modules_count; /* those that are good; behind them the one that is tried */
    mp_rc_t refusal;        /* and why it isn't good; MP_OK: not known yet */
    char refusal_problem[1024];
    char host[256];
};

enum {
    RING_BYTES = 1 << 20,
    NESTED_RING_BYTES = 1 << 18,
    NESTED = 1 << 30,     /* a slot's nested lane, among epoll's slots */
    CONTROL = UINT32_MAX, /* the nursery's socket, among epoll's slots */
    STARTS_MAX = 3,
    NURSERY_DEATHS_MAX = 3,
    QUIET_TURNS_MAX = 64
};

/* Two lanes each, and the nursery. */
/* Of epoll: two lanes of each slot, and the nursery. */
#define EVENTS_OF(slots) (2 * (slots) + 1)

/* It can't work any more; only the first reason counts. */
void mpx_crew_fail(mpx_crew_t *self, mp_rc_t rc, const char *problem);
/* Start the nursery, and executors in all places that are wanted. */
mp_rc_t mpx_crew_start(mpx_crew_t *self);
/* Make lanes and ask for an executor at their ends. */
mp_rc_t mpx_slot_fill(mpx_crew_t *self, uint32_t number);
void mpx_slot_clear(mpx_crew_t *self, slot_t *slot);
void mpx_slot_signal(mpx_crew_t *self, const slot_t *slot, int signal);
/* The memory of a chunk that the executor has nothing more to do with. */
void mpx_slot_end_stay(mpx_crew_t *self, slot_t *slot, uint64_t chunk);
/* What was handed out last is used up: the chunk that it finished, and the words of the dead. */
void mpx_crew_end_finished(mpx_crew_t *self);
void mpx_crew_free_words(mpx_crew_t *self);

#endif
