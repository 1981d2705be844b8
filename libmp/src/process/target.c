#include "target.h"

#include "fault.h"
#include "registry.h"

static mpx_registry_t targets;
static size_t sealed;

mp_rc_t mp_target_enter(const mp_target_t *target)
{
    if (!target || !target->run || !mpx_registry_is_name(target->name))
        return mpx_fault(MP_EINVAL, "a target needs a function and a name of letters, digits, "
                                    "'_', '.' and '-'");
    return mpx_registry_enter(&targets, target->name, target);
}

const mp_target_t *mp_target_find(const char *name)
{
    return mpx_registry_find(&targets, name);
}

void mpx_targets_seal(void)
{
    sealed = mpx_registry_count(&targets);
}

bool mpx_target_is_everywhere(const mp_target_t *target)
{
    for (size_t i = 0; i < sealed; i++)
        if (mpx_registry_at(&targets, i) == target)
            return true;
    return false;
}
