/* pulse.h: whether a connection over tcp still gives signs of life.
 *
 * Both sides have libzmq send heartbeats, and each judges the other by the kernel's count of the
 * bytes that came, of whatever. libzmq's own judgement is switched off: it asks its timers before
 * it reads what came meanwhile, so that a pause of this process, or of the whole machine, passes
 * for one of the peer; and of a frame it counts only the end.
 *
 * Only looks count. One that finds nothing new adds the time since the look before, but a step at
 * most: a pause of ours, however long, is no more than one step of silence.
 *
 * Pure but for mpx_pulse_ask.
 */
#ifndef MPX_PULSE_H
#define MPX_PULSE_H

#include <stdbool.h>
#include <stdint.h>

/* What the kernel has received. */
typedef struct mpx_received {
    uint64_t bytes;
    uint64_t unread; /* of these, libzmq hasn't read */
} mpx_received_t;

/* Zeroed: it was never looked at. */
typedef struct mpx_pulse {
    uint64_t bytes;
    int64_t looked;
    int64_t silence_ns;
} mpx_pulse_t;

/* Steps of silence after which a peer is given up. Many short ones: on a busy host each process may
 * be kept waiting for a second or two, and who looks is then late as often as who is looked at. */
enum { MPX_PULSE_MISSED = 6 };

/* false: the descriptor isn't a tcp connection's. */
bool mpx_pulse_ask(int fd, mpx_received_t *out);

/* One more look; looks should come each `step_ns`. Whether the peer is to be given up. What waits
 * to be read is a sign of life: it is we who are late. */
bool mpx_pulse_look(mpx_pulse_t *self, const mpx_received_t *received, int64_t step_ns,
                    int64_t now);

#endif
