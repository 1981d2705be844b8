/* traits.h: what a worker has, and what a call needs: "gpu=1,memory=8G,zone=a,ssd".
 *
 *     traits = [ trait { "," trait } ]     at most 16, no name twice; spaces around are skipped
 *     trait  = name [ "=" value ]          a name alone is one whose value is empty
 *     name   = 1 to 31 of A-Z a-z 0-9 . _ -
 *     value  = digits [ K | M | G | T ]    a capacity: 1K is 1024
 *            | 1 to 31 of the characters of a name, not all of them digits: a label
 *
 * A label that is needed must be there with that value. A capacity that is needed is used
 * up while the call has it, so calls share what the worker has of it.
 */
#ifndef MPX_TRAITS_H
#define MPX_TRAITS_H

#include <mp/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MPX_TRAITS_MAX = 16, MPX_TRAIT_TEXT = 32 };

typedef struct mpx_trait {
    char name[MPX_TRAIT_TEXT];
    char label[MPX_TRAIT_TEXT]; /* "" of a capacity */
    uint64_t amount;            /* of a capacity */
    bool counted;               /* it is a capacity */
} mpx_trait_t;

/* Sorted by name. */
typedef struct mpx_traits {
    mpx_trait_t items[MPX_TRAITS_MAX];
    size_t count;
} mpx_traits_t;

/* text  NULL is as "".
 * MP_OK; MP_EINVAL, and mp_errmsg() says what is wrong at which position, from 1. */
mp_rc_t mpx_traits_parse(const char *text, mpx_traits_t *out);
/* Where in `have` the trait of that name is; -1: nowhere. */
int mpx_traits_find(const mpx_traits_t *have, const char *name);
/* Whether who has nothing else to do can do with what it has. */
bool mpx_traits_meet(const mpx_traits_t *have, const mpx_traits_t *needs);
bool mpx_traits_equal(const mpx_traits_t *a, const mpx_traits_t *b);

#endif
