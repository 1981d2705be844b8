/* zap.h: who may come in. libzmq asks it about each key that is shown, before anything that its
 * owner sends is read.
 *
 * The question comes as a message of ZAP (rfc.zeromq.org/spec/27) within the context: one without
 * an answerer lets everybody in, and one in another context isn't asked. So the answerer belongs to
 * the hub, in whose context it is; it is read by the thread that has the link, and needs none of
 * its own.
 */
#ifndef MPX_ZAP_H
#define MPX_ZAP_H

#include <mp/error.h>
#include <stdbool.h>

#define MPX_ZAP_DOMAIN "mp"

/* Whether the owner of that key may come in. address  its IP, for the log */
typedef bool mpx_zap_admit_t(void *arg, const char *key, const char *address);

/* *socket is to be watched, and answered from.
 * MP_OK; MP_EEXIST this context has one already; MP_ESYSTEM. */
mp_rc_t mpx_zap_open(void *context, void **socket);
/* Answer all questions that are there. Who is let in has the key as user id. */
void mpx_zap_answer(void *socket, mpx_zap_admit_t *admit, void *arg);
/* NULL-safe. */
void mpx_zap_close(void **socket);

#endif
