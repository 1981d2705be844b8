#include "registry.h"

#include "fault.h"

#include <stdlib.h>
#include <string.h>

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

bool mpx_registry_is_name(const char *name)
{
    size_t length = name ? strlen(name) : 0;
    if (length == 0 || length > MP_TASK_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_name_char(name[i]))
            return false;
    return true;
}

/* Walks to the end and appends there in one step: whoever loses the race walks on. */
static mp_rc_t append(mpx_registry_t *self, mpx_entry_t *entry)
{
    _Atomic(mpx_entry_t *) *link = &self->first;
    for (;;) {
        mpx_entry_t *found = NULL;
        if (atomic_compare_exchange_strong(link, &found, entry))
            return MP_OK;
        if (found->thing == entry->thing)
            return MP_EBUSY;
        if (strcmp(found->name, entry->name) == 0)
            return mpx_fault(MP_EEXIST, "there is another one of the name '%s'", entry->name);
        link = &found->next;
    }
}

mp_rc_t mpx_registry_enter(mpx_registry_t *self, const char *name, const void *thing)
{
    mpx_entry_t *entry = malloc(sizeof *entry);
    if (!entry)
        return mpx_fault(MP_ENOMEM, "entering '%s'", name);
    entry->name = name;
    entry->thing = thing;
    atomic_init(&entry->next, NULL);
    mp_rc_t rc = append(self, entry);
    if (rc != MP_OK)
        free(entry);
    return rc == MP_EBUSY ? MP_OK : rc;
}

static const mpx_entry_t *first_of(const mpx_registry_t *self)
{
    return atomic_load(&self->first);
}

static const mpx_entry_t *next_of(const mpx_entry_t *entry)
{
    return atomic_load(&entry->next);
}

const void *mpx_registry_find(const mpx_registry_t *self, const char *name)
{
    for (const mpx_entry_t *entry = first_of(self); entry; entry = next_of(entry))
        if (strcmp(entry->name, name) == 0)
            return entry->thing;
    return NULL;
}

const void *mpx_registry_at(const mpx_registry_t *self, size_t i)
{
    const mpx_entry_t *entry = first_of(self);
    for (; entry && i > 0; i--)
        entry = next_of(entry);
    return entry ? entry->thing : NULL;
}

size_t mpx_registry_count(const mpx_registry_t *self)
{
    size_t count = 0;
    for (const mpx_entry_t *entry = first_of(self); entry; entry = next_of(entry))
        count++;
    return count;
}
