/* map_options.h: what `mp map` can be told. */
#ifndef MP_CLI_MAP_OPTIONS_H
#define MP_CLI_MAP_OPTIONS_H

#include <stdbool.h>

#define MAP_LOADS_MAX 32

typedef struct map_options {
    const char *broker;
    const char *load[MAP_LOADS_MAX + 1];
    const char *task;
    const char *ship;
    char **command; /* words; NULL: a task */
    const char *joblog;
    const char *id;
    const char *key;
    const char *needs;
    const char *have;
    const char *label;
    int loads;
    int command_words;
    int processes;
    int connect_timeout_ms;
    int timeout_ms;
    int retries;
    int chunksize;
    int keep_ms;
    int weight;
    int delay_ms;
    int deadline_ms;
    int retry_delay_ms;
    int soft_timeout_ms;
    int priority;
    bool shell;
    bool unordered;
    bool halt_on_error;
    bool json;
    bool resume;
    bool progress;
    bool no_progress;
    bool output;
    bool detach;
    bool keep_partial;
    bool dead_letters;
    bool no_dead_letters;
    bool help;
} map_options_t;

/* false: it has said what is wrong. */
bool map_options_parse(map_options_t *self, int argc, char **argv);
/* Whether calls go to a broker, by option or environment. */
bool map_options_remote(const map_options_t *self);

#endif
