/* shortage.h: whether the kernel has killed somebody here for want of memory.
 *
 * It sends a SIGKILL, as others do, but counts it: by this process's cgroup (memory.events, or
 * memory.oom_control of the older kind). Who finds a process killed by nobody that it knows looks
 * whether the count has risen. Where the count can't be read nothing is known. */
#ifndef MPX_SHORTAGE_H
#define MPX_SHORTAGE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mpx_shortage {
    char path[512]; /* of the file that has the count; "": none */
    uint64_t seen;  /* of the count */
    uint64_t left;  /* of what it has risen, deaths that nobody has had yet */
    int64_t left_at;
} mpx_shortage_t;

/* From now on. path: NULL: that of this process's cgroup. */
void mpx_shortage_begin(mpx_shortage_t *self, const char *path);
/* One more was killed and nobody knows why: whether this may be the kernel's doing. Each kill is
 * somebody's once, and within a second. */
bool mpx_shortage_took(mpx_shortage_t *self, int64_t now);

#endif
