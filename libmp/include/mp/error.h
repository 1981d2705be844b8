/* error.h: the one result type, its codes, and the detail behind the last failure.
 *
 * Every fallible call returns an mp_rc_t: MP_OK (0) or one of the negative codes
 * below. The codes also travel on the wire, so their numbers never change and are
 * never reused. Outputs of a call that fails are untouched unless it says otherwise.
 */
#ifndef MP_ERROR_H
#define MP_ERROR_H

#include <mp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, sentence) */
#define MP_ERROR_MAP(X)                                                                            \
    X(MP_OK, 0, "success")                                                                         \
    X(MP_EINVAL, -1, "invalid argument")                                                           \
    X(MP_ENOMEM, -2, "out of memory")                                                              \
    X(MP_ESYSTEM, -3, "the operating system refused")                                              \
    X(MP_ETIMEDOUT, -4, "the time limit passed")                                                   \
    X(MP_EOF, -5, "nothing is left")                                                               \
    X(MP_ECLOSED, -6, "the object is closed")                                                      \
    X(MP_EBUSY, -7, "the object is in use")                                                        \
    X(MP_EFORKED, -8, "the object belongs to another process")                                     \
    X(MP_EPERM, -9, "not permitted")                                                               \
    X(MP_ETOOLARGE, -10, "larger than the limit")                                                  \
    X(MP_EEXIST, -11, "the name is taken")                                                         \
    X(MP_ENOTFOUND, -12, "there is nothing of that name")                                          \
    X(MP_ERANGE, -13, "out of range")                                                              \
    X(MP_ESTATE, -14, "the object's state doesn't allow it")                                       \
    X(MP_ECORRUPT, -15, "what is stored there is damaged")                                         \
    X(MP_EOWNERDEAD, -16, "acquired, but the last owner died holding it")                          \
    X(MP_ENOTOWNER, -17, "held by somebody else, or by nobody")                                    \
    X(MP_EDEADLOCK, -18, "it would wait for itself")                                               \
    X(MP_EBROKEN, -19, "the barrier is broken")                                                    \
    X(MP_EFAILED, -20, "the task reported an error")                                               \
    X(MP_ECRASHED, -21, "the worker died while it ran the call")                                   \
    X(MP_ECANCELLED, -22, "cancelled")                                                             \
    X(MP_EWORKERLOST, -23, "the worker was lost")                                                  \
    X(MP_EBROKERLOST, -24, "the broker was lost")                                                  \
    X(MP_EPEERLOST, -25, "the other side was lost")                                                \
    X(MP_EEMPTY, -26, "the queue is empty")                                                        \
    X(MP_EFULL, -27, "the queue is full")                                                          \
    X(MP_ENOTASK, -30, "no such task")                                                             \
    X(MP_ESIGNATURE, -31, "the task's signature differs")                                          \
    X(MP_ENOWORKER, -32, "no worker is connected")                                                 \
    X(MP_EMODULE, -33, "the module can't be loaded")                                               \
    X(MP_EUNPASSABLE, -34, "the start method can't pass it on")                                    \
    X(MP_ECONNECT, -40, "nobody answered")                                                         \
    X(MP_EPROTO, -41, "the peer broke the protocol")                                               \
    X(MP_EVERSION, -42, "no common protocol version")                                              \
    X(MP_EDRAINING, -43, "the peer is shutting down")                                              \
    X(MP_ELIMIT, -44, "a limit of the peer is reached")                                            \
    X(MP_EAUTH, -45, "authentication failed")                                                      \
    X(MP_ESTALE, -46, "the lock that guards it is not held any more")                              \
    X(MP_ELEASE, -47, "the lease ran out: what was held is not held any more")                     \
    X(MP_ENOSPACE, -48, "the disk is full")                                                        \
    X(MP_ECHANGED, -49, "it has changed since")                                                    \
    X(MP_ENEEDS, -53, "no worker has what the call needs")

typedef enum mp_rc {
#define MP_ERROR_ENUM(name, number, sentence) name = number,
    MP_ERROR_MAP(MP_ERROR_ENUM)
#undef MP_ERROR_ENUM
} mp_rc_t;

/* The sentence for a code; never NULL, also for numbers that are no code.
 * The string is static. Any thread, any time, also in a signal handler. */
MP_API const char *mp_strerror(mp_rc_t rc);

/* The name of a code, such as "MP_ETIMEDOUT"; never NULL. The string is static. */
MP_API const char *mp_errname(mp_rc_t rc);

/* What the calling thread's last failing call of this library had to say: the
 * object, the peer and the cure where there is one. Falls back to "" when there
 * was none. Only a companion of the returned code, never the signal itself:
 * successful calls leave it alone. Valid until the thread's next failing call. */
MP_API const char *mp_errmsg(void);

#ifdef __cplusplus
}
#endif

#endif
