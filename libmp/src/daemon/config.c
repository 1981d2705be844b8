#include "config.h"

#include "fault.h"

#include <czmq.h>

mp_rc_t mpx_config_load(const char *path, mpx_settings_t *settings)
{
    if (access(path, R_OK) != 0)
        return mpx_fault(MP_EINVAL, "%s: %s", path, strerror(errno));
    zconfig_t *root = zconfig_load(path);
    if (!root)
        return mpx_fault(MP_EINVAL, "%s: this is not a config file of 'name = value' lines", path);
    mp_rc_t rc = MP_OK;
    for (zconfig_t *item = zconfig_child(root); item && rc == MP_OK; item = zconfig_next(item)) {
        const char *value = zconfig_value(item);
        if (zconfig_child(item))
            rc = mpx_fault(MP_EINVAL, "%s: '%s' has indented lines below it", path,
                           zconfig_name(item));
        else
            rc = mpx_settings_offer(settings, zconfig_name(item), value ? value : "", "file");
        if (rc == MP_EINVAL)
            rc = mpx_fault(rc, "%s: %s", path, mp_errmsg());
    }
    zconfig_destroy(&root);
    return rc;
}
