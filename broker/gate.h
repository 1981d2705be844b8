/* gate.h: who comes in by which key, and what it may do.
 *
 * The gate has the broker's own certificate and the list of keys that it lets in, from a folder:
 *
 *     server.key   the certificate, with its secret
 *     clients      the list, see allow.h
 *
 * The list can be read again; if it is broken the old one stays in force. Without a folder there
 * are no keys, and whoever comes (he is on this host) may do all. So may those who come by a lane:
 * the kernel says that they are this user, who could read the secret as well.
 */
#ifndef MPX_GATE_H
#define MPX_GATE_H

#include "allow.h"
#include "link.h"
#include "log.h"
#include "peer.h"

typedef struct mpx_gate mpx_gate_t;

/* Whether these endpoints may be listened on, with these keys or without any.
 * MP_OK; MP_EINVAL; MP_EPERM; the codes of mpx_gate_new. */
mp_rc_t mpx_gate_check(const char *const *listen, size_t count, const char *keys, mpx_log_t *log);

/* keys  a folder; NULL: no keys
 * MP_OK; MP_ENOTFOUND, MP_EPERM, MP_EINVAL the files aren't there, or not private, or broken; … */
mp_rc_t mpx_gate_new(const char *keys, mpx_log_t *log, mpx_gate_t **out);
void mpx_gate_free(mpx_gate_t **self);

/* For the link: the certificate, and whether a key is let in. */
const mpx_curve_t *mpx_gate_curve(const mpx_gate_t *self);
bool mpx_gate_admit(void *self, const char *key, const char *address);

/* Somebody's first message: who it is.
 * key  what the link says; NULL: none was needed */
void mpx_gate_recognise(const mpx_gate_t *self, mpx_peer_t *peer, const char *key);
/* What it is called by the log and in errors: what it says itself, or where it is, behind its
 * key's name. */
void mpx_gate_name(mpx_peer_t *peer, const char *name, const char *host, uint32_t pid);

/* Read the list again. false: it can't be, which the log says; nothing has changed. */
bool mpx_gate_reload(mpx_gate_t *self);
/* After that, for each peer: its roles are what they are now. MP_OK; MP_EPERM it can't stay. */
mp_rc_t mpx_gate_review(const mpx_gate_t *self, mpx_peer_t *peer);

/* Tell the log of handshakes that failed, of which the link has counted so many by now; once a
 * second at most. */
void mpx_gate_note_failed(mpx_gate_t *self, int64_t now, uint64_t failed);

#endif
