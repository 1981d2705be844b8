#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 1024 };

static _Thread_local char text[TEXT_MAX];

const char *mp_strerror(mp_rc_t rc)
{
    switch (rc) {
#define SENTENCE(name, number, sentence)                                                           \
    case name:                                                                                     \
        return sentence;
        MP_ERROR_MAP(SENTENCE)
#undef SENTENCE
    }
    return "unknown error";
}

const char *mp_errname(mp_rc_t rc)
{
    switch (rc) {
#define NAME(name, number, sentence)                                                               \
    case name:                                                                                     \
        return #name;
        MP_ERROR_MAP(NAME)
#undef NAME
    }
    return "MP_E?";
}

const char *mp_errmsg(void)
{
    return text;
}

/* Through a copy, because an argument may be mp_errmsg() itself. */
static void set_text(const char *format, va_list args) MP_PRINTF(1, 0);

static void set_text(const char *format, va_list args)
{
    char copy[TEXT_MAX];
    vsnprintf(copy, sizeof copy, format, args);
    memcpy(text, copy, sizeof text);
}

mp_rc_t mpx_fault(mp_rc_t rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_text(format, args);
    va_end(args);
    return rc;
}

mp_rc_t mpx_fault_errno(const char *format, ...)
{
    int error = errno;
    va_list args;
    va_start(args, format);
    set_text(format, args);
    va_end(args);
    size_t length = strlen(text);
    char words[128];
    /* The GNU strerror_r, which may return a string of its own. */
    snprintf(text + length, sizeof text - length, ": %s", strerror_r(error, words, sizeof words));
    return error == ENOMEM ? MP_ENOMEM : MP_ESYSTEM;
}
