/* ok.h: what a call of the library returned, with its words if it should not have. */
#ifndef OK_H
#define OK_H

#include <check.h>
#include <mp/error.h>

#define OK(call) IS(call, MP_OK)
#define IS(call, rc)                                                                               \
    do {                                                                                           \
        mp_rc_t rc_ = (call);                                                                      \
        ck_assert_msg(rc_ == (rc), "%s: %s (%s)", #call, mp_errname(rc_), mp_errmsg());            \
    } while (0)

#endif
