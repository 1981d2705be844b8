/* map_options.h: what `mp map` can be told. */
#ifndef MP_CLI_MAP_OPTIONS_H
#define MP_CLI_MAP_OPTIONS_H

#include <stdbool.h>

#define MAP_LOADS_MAX 32

typedef struct map_options {
    int processes;
    const char *broker;
    int connect_timeout_ms;
    const char *load[MAP_LOADS_MAX + 1];
    int loads;
    const char *task;
    const char *ship;
    bool output;
    char **command; /* words; NULL: a task */
    int command_words;
    bool shell;
    bool unordered;
    bool halt_on_error;
    bool json;
    int timeout_ms;
    int retries;
    int chunksize;
    const char *joblog;
    bool resume;
    bool progress;
    bool no_progress;
    bool detach;
    const char *id;
    const char *key;
    int keep_ms;
    bool dead_letters;
    const char *needs;
    int weight;
    int delay_ms;
    int deadline_ms;
    bool help;
} map_options_t;

/* false: it has said what is wrong. */
bool map_options_parse(map_options_t *self, int argc, char **argv);
/* Whether calls go to a broker, by option or environment. */
bool map_options_remote(const map_options_t *self);

#endif
