/* box.h: an end of a pipe that nobody has used yet.
 *
 * A box is a socket with one message in it: what is needed to become the end, with descriptors.
 * Whoever takes the message out has the end; all others, with their inherited or fetched copies
 * of the box, find it empty. The kernel counts the copies: when the last one is closed with the
 * message still inside, the descriptors in it are closed too, and the other side sees its end.
 */
#ifndef MPX_BOX_H
#define MPX_BOX_H

#include <mp/error.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum mpx_token_kind {
    MPX_TOKEN_LANE = 1, /* descriptors: a lane's memory and socket */
    MPX_TOKEN_FIRST,    /* descriptor: a socket to the other end; this one will listen */
    MPX_TOKEN_SECOND    /* the same; this one will be told where */
} mpx_token_kind_t;

typedef struct mpx_token {
    uint32_t kind;
    uint32_t side; /* of the lane */
    /* Of an end that was in use: where its flow control stands. */
    int64_t room;
    uint64_t uncredited;
} mpx_token_t;

/* Close the descriptors in any case. MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_box_new(const mpx_token_t *token, const int *fds, int fds_count, int *box);
/* MP_OK: the box is closed, `fds` (two) are ours, and closed in forked children; MP_EBUSY it is
 * empty, and stays; MP_ESYSTEM. */
mp_rc_t mpx_box_take(int *box, mpx_token_t *token, int fds[2]);

#endif
