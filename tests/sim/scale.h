/* scale.h: what a call costs the broker, by the numbers of workers and of queued calls. */
#ifndef SIM_SCALE_H
#define SIM_SCALE_H

#include <stdint.h>

/* Print a table, up to so many queued calls. The exit status: 1 if a bar was missed. */
int scale(uint64_t calls_max);

#endif
