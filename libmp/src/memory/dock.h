/* dock.h: the files in which named blocks lie, and who has hold of them.
 *
 * A block comes into being without a name, is filled in, and is then given one in a single
 * step: nobody ever sees half of one, and a process that is killed meanwhile leaves nothing.
 * Each open handle holds a shared flock, which the kernel takes back with the last copy of the
 * descriptor, in forked children too. So whoever gets the exclusive lock knows that nobody has
 * the block.
 */
#ifndef MPX_DOCK_H
#define MPX_DOCK_H

#include "life.h"

#include <mp/shared_memory.h>

enum { MPX_DOCK_HEAD = 4096 }; /* bytes before the data */

/* One that is mapped. */
typedef struct mpx_berth {
    int fd;
    unsigned char *base; /* MPX_DOCK_HEAD bytes, then the data */
    size_t bytes;        /* of data */
    char name[MP_SHARED_MEMORY_NAME_MAX + 1];
    dev_t device;
    ino_t inode;
} mpx_berth_t;

mp_rc_t mpx_dock_create(const char *name, size_t bytes, mpx_berth_t *out);
mp_rc_t mpx_dock_attach(const char *name, mpx_berth_t *out);
void mpx_dock_close(mpx_berth_t *self);
/* Also of a closed one. */
mp_rc_t mpx_dock_unlink(const mpx_berth_t *self);
void mpx_dock_keep(const mpx_berth_t *self);

#endif
