/* fair.h: whether the core lets jobs of one priority take turns, whatever comes and goes. */
#ifndef SIM_FAIR_H
#define SIM_FAIR_H

#include <stdint.h>

/* The exit status: 1 if a seed failed, which is named then. */
int fair(uint64_t seed, uint64_t count);

#endif
