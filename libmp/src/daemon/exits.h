/* exits.h: the exit statuses of our daemons, after sysexits.h. */
#ifndef MPX_EXITS_H
#define MPX_EXITS_H

enum {
    MPX_EXIT_OK = 0,
    MPX_EXIT_USAGE = 64,       /* the command line is wrong */
    MPX_EXIT_UNAVAILABLE = 69, /* it can't do its work: no module, refused by the broker */
    MPX_EXIT_OSERR = 71,       /* the system refused: out of memory, address in use */
    MPX_EXIT_CONFIG = 78       /* a setting is wrong, or not allowed */
};

#endif
