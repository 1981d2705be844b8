/* method.h: what can be done with objects: the numbers on the wire, and what each is for.
 *
 * X(name, number, types, traits, arguments -> results)
 *
 * Arguments and results are parcels: n a number (8 bytes), k a key (a scalar's node), v an item,
 * t an item that is a tree, s bytes. Numbers never change and are never reused.
 *
 * Traits: CHANGES what an object holds, so that it is guarded, journalled and stored; WAITS: it
 * may be answered later; HOLDS: its result is a hold, which goes back if nobody takes it; ALONE:
 * not within an atomic; LAST: its one change is its last step, so that none is ever undone;
 * GUARDED: it isn't stored, but guarded as what CHANGES is.
 */
#ifndef MPX_METHOD_H
#define MPX_METHOD_H

#include <mp/object.h>

enum {
    MPX_CHANGES = 1,
    MPX_WAITS = 2,
    MPX_HOLDS = 4,
    MPX_ALONE = 8,
    MPX_LAST = 16,
    MPX_GUARDED = 32
};

#define MPX_T(type)  (1u << (type))
#define MPX_T_ANY    (~0u & ~1u)
#define MPX_T_MAP    (MPX_T(MP_OBJECT_DICT) | MPX_T(MP_OBJECT_NAMESPACE))
#define MPX_T_KEYED  (MPX_T_MAP | MPX_T(MP_OBJECT_SET))
#define MPX_T_LIST   MPX_T(MP_OBJECT_LIST)
#define MPX_T_SEQ    (MPX_T_LIST | MPX_T(MP_OBJECT_ARRAY))
#define MPX_T_QUEUE  (MPX_T(MP_OBJECT_QUEUE) | MPX_T(MP_OBJECT_JOINABLE_QUEUE))
#define MPX_T_LOCK   (MPX_T(MP_OBJECT_LOCK) | MPX_T(MP_OBJECT_RLOCK))
#define MPX_T_LOCKED (MPX_T_LOCK | MPX_T(MP_OBJECT_CONDITION))
#define MPX_T_UNITS  (MPX_T(MP_OBJECT_SEMAPHORE) | MPX_T(MP_OBJECT_BOUNDED_SEMAPHORE))
#define MPX_T_NONE   1u /* of the manager itself: object 0 */

#define MPX_METHOD_MAP(X)                                                                          \
    /* n type, n flags, s name, n ttl_ms, n max_items, n max_bytes, n value, n lock, n typecode,   \
     * s custom, [t initial] -> n id, n whether it is new */                                       \
    X(MAKE, 1, MPX_T_NONE, MPX_CHANGES | MPX_ALONE)                                                \
    X(OPEN, 2, MPX_T_ANY, MPX_ALONE) /* -> n type, s name */                                       \
    X(DROP, 3, MPX_T_ANY, MPX_ALONE) /* one handle less */                                         \
    X(DELETE, 4, MPX_T_ANY, MPX_CHANGES | MPX_ALONE)                                               \
    X(EXPIRE, 5, MPX_T_ANY, MPX_CHANGES)                 /* n ttl_ms */                            \
    X(STAT, 6, MPX_T_ANY, 0)                             /* -> n × 9, as mp_object_stat_t */      \
    X(WATCH, 7, MPX_T_ANY, MPX_WAITS)                    /* n version -> n version */              \
    X(OBJECTS, 8, MPX_T_NONE, 0)                         /* -> t */                                \
    X(SERVER, 9, MPX_T_NONE, 0)                          /* -> t */                                \
    X(ATOMIC, 10, MPX_T_NONE, MPX_ALONE)                 /* s operations -> s answers */           \
    X(CANCEL, 11, MPX_T_NONE, MPX_ALONE)                 /* n number: end that wait */             \
    X(LEN, 12, MPX_T_KEYED | MPX_T_SEQ | MPX_T_QUEUE, 0) /* -> n */                                \
    X(CLEAR, 13, MPX_T_KEYED | MPX_T_LIST, MPX_CHANGES)                                            \
    /* keys and values */                                                                          \
    X(MAP_SET, 20, MPX_T_MAP, MPX_CHANGES | MPX_LAST)     /* k v */                                \
    X(MAP_GET, 21, MPX_T_MAP, 0)                          /* k -> v, n version */                  \
    X(MAP_DEL, 22, MPX_T_KEYED, MPX_CHANGES | MPX_LAST)   /* k */                                  \
    X(MAP_CONTAINS, 23, MPX_T_KEYED, 0)                   /* k -> n */                             \
    X(MAP_POP, 24, MPX_T_MAP, MPX_CHANGES | MPX_LAST)     /* k -> v */                             \
    X(MAP_POPITEM, 25, MPX_T_MAP, MPX_CHANGES | MPX_LAST) /* -> k v */                             \
    X(MAP_SETDEFAULT, 26, MPX_T_MAP, MPX_CHANGES)         /* k v -> v */                           \
    X(MAP_UPDATE, 27, MPX_T_MAP, MPX_CHANGES)             /* t dict */                             \
    X(MAP_KEYS, 28, MPX_T_KEYED, 0)                       /* -> t list */                          \
    X(MAP_VALUES, 29, MPX_T_MAP, 0)                       /* -> t list */                          \
    X(MAP_ITEMS, 30, MPX_T_MAP, 0)                        /* -> t list */                          \
    X(MAP_COPY, 31, MPX_T_MAP, 0)                         /* -> t dict */                          \
    X(MAP_ADD, 32, MPX_T_MAP, MPX_CHANGES)                /* k t number -> t number */             \
    X(MAP_APPEND, 33, MPX_T_MAP, MPX_CHANGES)             /* k t -> n length */                    \
    X(MAP_CAS, 34, MPX_T_MAP, MPX_CHANGES)                /* k n version v -> n version */         \
    X(MAP_POP_IF, 35, MPX_T_MAP, MPX_CHANGES)             /* k n version -> v */                   \
    X(MAP_WAIT, 36, MPX_T_MAP, MPX_WAITS)                 /* k -> v, n version */                  \
    X(MAP_WATCH, 37, MPX_T_KEYED, MPX_WAITS)              /* k n version -> n version */           \
    X(MAP_EXPIRE, 38, MPX_T_KEYED, MPX_CHANGES)           /* k n ttl_ms */                         \
    X(MAP_NEXT, 39, MPX_T_KEYED, 0)             /* n after, n at most -> { n order, k, v }… */   \
    X(MAP_UNION, 40, MPX_T_MAP, 0)              /* t dict -> t dict */                             \
    X(MAP_REVERSED, 41, MPX_T_MAP, 0)           /* -> t list of keys, last first */                \
    X(MAP_FROMKEYS, 42, MPX_T_MAP, MPX_CHANGES) /* t list of keys, v */                            \
    /* members */                                                                                  \
    X(SET_ADD, 50, MPX_T(MP_OBJECT_SET), MPX_CHANGES) /* k -> n whether it is new */               \
    X(SET_DISCARD, 51, MPX_T(MP_OBJECT_SET), MPX_CHANGES | MPX_LAST) /* k */                       \
    X(SET_POP, 52, MPX_T(MP_OBJECT_SET), MPX_CHANGES | MPX_LAST)     /* -> k */                    \
    X(SET_UPDATE, 53, MPX_T(MP_OBJECT_SET), MPX_CHANGES)             /* t list */                  \
    X(SET_MERGE, 54, MPX_T(MP_OBJECT_SET), MPX_CHANGES)              /* n other, n mpx_set_op_t */ \
    X(SET_COMBINE, 55, MPX_T(MP_OBJECT_SET), 0) /* n other, n mpx_set_op_t -> t list */            \
    X(SET_COMPARE, 56, MPX_T(MP_OBJECT_SET), 0) /* n other, n mpx_set_test_t -> n */               \
    /* items in a row */                                                                           \
    X(LIST_APPEND, 60, MPX_T_LIST, MPX_CHANGES | MPX_LAST) /* v */                                 \
    X(LIST_EXTEND, 61, MPX_T_LIST, MPX_CHANGES | MPX_LAST) /* t list */                            \
    X(LIST_INSERT, 62, MPX_T_LIST, MPX_CHANGES | MPX_LAST) /* n v */                               \
    X(LIST_GET, 63, MPX_T_SEQ, 0)                          /* n -> v */                            \
    X(LIST_SET, 64, MPX_T_SEQ, MPX_CHANGES | MPX_LAST)     /* n v */                               \
    X(LIST_DEL, 65, MPX_T_LIST, MPX_CHANGES | MPX_LAST)    /* n */                                 \
    X(LIST_POP, 66, MPX_T_LIST, MPX_CHANGES | MPX_LAST)    /* n -> v */                            \
    X(LIST_GET_SLICE, 67, MPX_T_SEQ, 0)                    /* n n n -> t list */                   \
    X(LIST_SET_SLICE, 68, MPX_T_SEQ, MPX_CHANGES)          /* n n n t list */                      \
    X(LIST_DEL_SLICE, 69, MPX_T_LIST, MPX_CHANGES)         /* n n n */                             \
    X(LIST_REVERSE, 70, MPX_T_LIST, MPX_CHANGES)                                                   \
    X(LIST_SORT, 71, MPX_T_LIST, MPX_CHANGES)              /* n whether in reverse */              \
    X(LIST_REPEAT, 72, MPX_T_LIST, MPX_CHANGES)            /* n times */                           \
    X(LIST_INDEX, 73, MPX_T_SEQ, 0)                        /* v -> n */                            \
    X(LIST_REMOVE, 74, MPX_T_LIST, MPX_CHANGES | MPX_LAST) /* v */                                 \
    X(LIST_COUNT, 75, MPX_T_SEQ, 0)                        /* v -> n */                            \
    X(LIST_ADD, 76, MPX_T_SEQ, MPX_CHANGES)                /* n t number -> t number */            \
    X(LIST_APPEND_AT, 77, MPX_T_LIST, MPX_CHANGES)         /* n t -> n length */                   \
    X(LIST_CONCAT, 78, MPX_T_LIST, 0)                      /* t list -> t list */                  \
    X(LIST_REPEATED, 79, MPX_T_LIST, 0)                    /* n times -> t list */                 \
    X(LIST_INDEX_IN, 80, MPX_T_SEQ, 0)                     /* v n start n stop -> n */             \
    /* one item */                                                                                 \
    X(VALUE_SET, 90, MPX_T(MP_OBJECT_VALUE), MPX_CHANGES | MPX_LAST) /* v */                       \
    X(VALUE_GET, 91, MPX_T(MP_OBJECT_VALUE), 0)                      /* -> v, n version */         \
    X(VALUE_ADD, 92, MPX_T(MP_OBJECT_VALUE), MPX_CHANGES)            /* t number -> t number */    \
    X(VALUE_CAS, 93, MPX_T(MP_OBJECT_VALUE), MPX_CHANGES) /* n version v -> n version */           \
    /* items that are passed on */                                                                 \
    X(QUEUE_PUT, 100, MPX_T_QUEUE, MPX_CHANGES | MPX_WAITS | MPX_ALONE) /* v */                    \
    X(QUEUE_GET, 101, MPX_T_QUEUE,                                                                 \
      MPX_WAITS | MPX_HOLDS | MPX_ALONE | MPX_GUARDED) /* n thread -> v, n whether given again */  \
    X(QUEUE_DONE, 102, MPX_T(MP_OBJECT_JOINABLE_QUEUE), MPX_CHANGES | MPX_ALONE)                   \
    X(QUEUE_JOIN, 103, MPX_T(MP_OBJECT_JOINABLE_QUEUE), MPX_WAITS | MPX_ALONE)                     \
    X(QUEUE_RETURN, 104, MPX_T_QUEUE, MPX_ALONE) /* n number of the GET: its item goes back */     \
    X(QUEUE_FULL, 105, MPX_T_QUEUE, 0)           /* -> n */                                        \
    /* holds */                                                                                    \
    X(LOCK_ACQUIRE, 110, MPX_T_LOCKED,                                                             \
      MPX_WAITS | MPX_HOLDS | MPX_ALONE)          /* n thread -> n token */                        \
    X(LOCK_RELEASE, 111, MPX_T_LOCKED, MPX_ALONE) /* n thread */                                   \
    X(LOCK_LOCKED, 112, MPX_T_LOCKED, 0)          /* -> n */                                       \
    X(LOCK_TOKEN, 113, MPX_T_LOCKED, MPX_ALONE)   /* -> n token of this tenant's hold */           \
    X(UNIT_ACQUIRE, 120, MPX_T_UNITS, MPX_WAITS | MPX_HOLDS | MPX_ALONE)                           \
    X(UNIT_RELEASE, 121, MPX_T_UNITS, MPX_ALONE)                                                   \
    X(EVENT_SET, 130, MPX_T(MP_OBJECT_EVENT), MPX_CHANGES | MPX_ALONE)                             \
    X(EVENT_CLEAR, 131, MPX_T(MP_OBJECT_EVENT), MPX_CHANGES | MPX_ALONE)                           \
    X(EVENT_IS_SET, 132, MPX_T(MP_OBJECT_EVENT), 0) /* -> n */                                     \
    X(EVENT_WAIT, 133, MPX_T(MP_OBJECT_EVENT), MPX_WAITS | MPX_ALONE)                              \
    X(CONDITION_WAIT, 140, MPX_T(MP_OBJECT_CONDITION),                                             \
      MPX_WAITS | MPX_HOLDS | MPX_ALONE) /* n thread -> n token, n late */                         \
    X(CONDITION_NOTIFY, 141, MPX_T(MP_OBJECT_CONDITION), MPX_ALONE)       /* n thread, n */        \
    X(BARRIER_WAIT, 150, MPX_T(MP_OBJECT_BARRIER), MPX_WAITS | MPX_ALONE) /* -> n index */         \
    X(BARRIER_ABORT, 151, MPX_T(MP_OBJECT_BARRIER), MPX_ALONE)                                     \
    X(BARRIER_RESET, 152, MPX_T(MP_OBJECT_BARRIER), MPX_ALONE)                                     \
    X(BARRIER_STAT, 153, MPX_T(MP_OBJECT_BARRIER), 0) /* -> n parties, n waiting, n broken */      \
    X(CUSTOM_CALL, 160, MPX_T(MP_OBJECT_CUSTOM), MPX_ALONE | MPX_GUARDED) /* s name, [t] -> [t] */

typedef enum mpx_method {
#define MPX_METHOD_ENUM(name, number, types, traits) MPX_##name = number,
    MPX_METHOD_MAP(MPX_METHOD_ENUM)
#undef MPX_METHOD_ENUM
        MPX_METHODS = 161
} mpx_method_t;

/* "LIST_APPEND"; "?" for no method. */
const char *mpx_method_name(unsigned method);
unsigned mpx_method_traits(unsigned method);

/* Flags of MAKE. */
enum { MPX_MAKE_ONLY_NEW = 1, MPX_MAKE_ONLY_OPEN = 2 };

typedef enum mpx_set_op { MPX_SET_OR, MPX_SET_AND, MPX_SET_MINUS, MPX_SET_XOR } mpx_set_op_t;
typedef enum mpx_set_test {
    MPX_SET_DISJOINT,
    MPX_SET_SUBSET,
    MPX_SET_SUPERSET,
    MPX_SET_PROPER_SUBSET,
    MPX_SET_PROPER_SUPERSET
} mpx_set_test_t;

#endif
