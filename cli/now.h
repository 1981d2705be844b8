/* now.h: the time that passes, for limits that several waits share. */
#ifndef MP_CLI_NOW_H
#define MP_CLI_NOW_H

#include <stdint.h>

int64_t now_ms(void);

/* What is left of a limit that began at `since`: 0 if it is over; -1, as its ms: for ever. */
int left_ms(int64_t since, int ms);

#endif
