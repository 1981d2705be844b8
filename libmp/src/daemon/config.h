/* config.h: a config file in ZPL, as CZMQ's zconfig reads it:
 *
 *     # broker.conf
 *     listen = tcp://127.0.0.1:5555
 *     max-peers = 1000
 */
#ifndef MPX_CONFIG_H
#define MPX_CONFIG_H

#include "settings.h"

/* Offer what the file says. MP_OK; MP_EINVAL with the file and key in mp_errmsg(). */
mp_rc_t mpx_config_load(const char *path, mpx_settings_t *settings);

#endif
