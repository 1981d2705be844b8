/* footprint.h: how much memory this process has, and may have. */
#ifndef MPX_FOOTPRINT_H
#define MPX_FOOTPRINT_H

#include <stdint.h>
#include <sys/types.h>

/* Bytes that are resident, and not shared with anybody: what it has taken itself. */
uint64_t mpx_footprint(void);
/* The same of another process; 0: nobody knows. */
uint64_t mpx_footprint_of(pid_t pid);
/* From now on only so many bytes more; 0: as many as it likes. A limit that is lower already stays.
 */
void mpx_footprint_cap(uint64_t bytes);

#endif
