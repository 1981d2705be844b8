/* stream.h: messages of any length over a channel, with a window.
 *
 * A message travels in parts of up to 128 KiB. The sender may be ahead of the receiver by a
 * window; parts count with their size and something for each. The receiver gives room back when
 * a message is taken, or while somebody waits for the rest of it: what nobody has asked for
 * takes no more memory than the window, however long it is.
 *
 * Between messages stands nothing: a part that isn't the first belongs to the message before. A
 * sender that gives up says so, and what came of the message is forgotten.
 *
 * All functions are called with the channel's lock held, and not again by another thread while
 * one is in them for the same direction, which they see to by themselves.
 */
#ifndef MPX_STREAM_H
#define MPX_STREAM_H

#include "channel.h"

#include <mp/item.h>

typedef struct mpx_stream mpx_stream_t;

/* Where a message shall go. */
typedef struct mpx_sink {
    void *buffer; /* NULL: new memory, in *item */
    size_t room;  /* of the buffer; or the most that is taken */
    size_t *size;
    mp_item_t *item;
    bool only_tree;
} mpx_sink_t;

mp_rc_t mpx_stream_new(mpx_stream_t **out);
void mpx_stream_free(mpx_stream_t **self);
/* What the stream travels on, which it doesn't own. */
void mpx_stream_on(mpx_stream_t *self, mpx_channel_t *channel);
/* For the channel. */
extern const mpx_channel_user_t mpx_stream_user;

/* MP_OK; MP_ETIMEDOUT; MP_EOF; the channel's codes; MP_ENOMEM. */
mp_rc_t mpx_stream_send(mpx_stream_t *self, mp_item_kind_t kind, mp_bytes_t bytes, int timeout_ms,
                        int64_t deadline);
/* Also MP_ETOOLARGE, MP_EINVAL: it stays the next one. */
mp_rc_t mpx_stream_receive(mpx_stream_t *self, const mpx_sink_t *sink, int64_t deadline);
/* Whether a message, or the end, is there. */
bool mpx_stream_has(const mpx_stream_t *self);
/* Whether nothing is under way, so that the channel may be handed on; and where it stands. */
bool mpx_stream_is_idle(const mpx_stream_t *self, int64_t *room, uint64_t *uncredited);
void mpx_stream_go_on(mpx_stream_t *self, int64_t room, uint64_t uncredited);

enum { MPX_STREAM_WINDOW = 512 * 1024, MPX_STREAM_PART = 128 * 1024 };

#endif
