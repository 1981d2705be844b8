/* signals.h: SIGTERM, SIGINT and SIGHUP as something to poll for. */
#ifndef MPX_SIGNALS_H
#define MPX_SIGNALS_H

#include <mp/error.h>

/* Block both, ignore SIGPIPE, and make a signalfd. For main, before any thread.
 * MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_signals_open(int *fd);
/* The same for SIGHUP, alone. */
mp_rc_t mpx_signals_open_reload(int *fd);

#endif
