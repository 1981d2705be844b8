/* settings.h: what a program can be told, in one table: by a flag, else by an environment
 * variable, else in its config file, else a default.
 *
 * The table makes --help, --check-config and the checks, so they can't drift apart. Values
 * are kept as the text that was given, with where it came from; the readers below parse
 * what mpx_settings_load has checked. An environment variable that is empty counts as unset.
 */
#ifndef MPX_SETTINGS_H
#define MPX_SETTINGS_H

#include <mp/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum mpx_setting_type {
    MPX_TEXT,
    MPX_LIST,   /* repeatable, or with commas */
    MPX_NUMBER, /* min..max */
    MPX_BYTES,  /* the same, with k, M or G */
    MPX_SWITCH  /* a flag without argument; elsewhere yes or no */
} mpx_setting_type_t;

typedef struct mpx_setting {
    const char *flag; /* without the dashes; also the key in the file */
    const char *env;
    mpx_setting_type_t type;
    const char *fallback; /* NULL: none */
    int64_t min, max;
    const char *argument; /* its name in --help */
    const char *help;
} mpx_setting_t;

typedef struct mpx_program {
    const char *name;
    const char *synopsis;
    const char *purpose;
    const mpx_setting_t *settings;
    size_t settings_count;
} mpx_program_t;

#define MPX_SETTINGS_MAX 32
#define MPX_LIST_MAX     64

typedef struct mpx_value {
    char *items[MPX_LIST_MAX + 1]; /* ends with NULL */
    size_t count;
    const char *source; /* "flag", "environment", "file", "default"; NULL: unset */
} mpx_value_t;

typedef struct mpx_settings {
    const mpx_program_t *program;
    mpx_value_t values[MPX_SETTINGS_MAX];
    const char *config; /* --config FILE */
    bool want_help;
    bool want_version;
    bool want_check;
} mpx_settings_t;

/* Read everything. A "config" flag, --help, --version and --check-config are always there.
 * MP_OK; MP_EINVAL with the reason in mp_errmsg(); MP_ENOMEM. *usage: the command line is
 * to blame, not the environment or the file. */
mp_rc_t mpx_settings_load(const mpx_program_t *program, int argc, char **argv, mpx_settings_t *out,
                          bool *usage);
void mpx_settings_free(mpx_settings_t *self);

const char *mpx_settings_text(const mpx_settings_t *self, const char *flag);
const char *const *mpx_settings_list(const mpx_settings_t *self, const char *flag, size_t *count);
int64_t mpx_settings_number(const mpx_settings_t *self, const char *flag);
bool mpx_settings_switch(const mpx_settings_t *self, const char *flag);

void mpx_settings_print_help(const mpx_program_t *program, FILE *out);
/* Each setting, its value, and where that came from. */
void mpx_settings_print(const mpx_settings_t *self, FILE *out);

/* The whole of a daemon's main: print what is asked for, or run with what was chosen. Returns an
 * exit status (exits.h), after it has said what is wrong. */
int mpx_settings_main(const mpx_program_t *program, int argc, char **argv,
                      int (*run)(const mpx_settings_t *chosen));

/* For config.c: give a setting a value, unless a stronger source already has. MP_OK;
 * MP_EINVAL unknown, or not valid; MP_ENOMEM. */
mp_rc_t mpx_settings_offer(mpx_settings_t *self, const char *flag, const char *value,
                           const char *source);

#endif
