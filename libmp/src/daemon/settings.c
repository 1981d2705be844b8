#include "settings.h"

#include "config.h"
#include "exits.h"
#include "fault.h"

#include <errno.h>
#include <getopt.h>
#include <mp/version.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_CONFIG = 1000, OPT_HELP, OPT_VERSION, OPT_CHECK, OPT_FIRST };

/* ---- values --------------------------------------------------------------------------- */

static const mpx_setting_t *find(const mpx_program_t *program, const char *flag, size_t *index)
{
    for (size_t i = 0; i < program->settings_count; i++)
        if (strcmp(program->settings[i].flag, flag) == 0) {
            *index = i;
            return &program->settings[i];
        }
    return NULL;
}

static bool parse_number(const mpx_setting_t *setting, const char *text, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text)
        return false;
    if (setting->type == MPX_BYTES && *end) {
        static const char units[] = "kMG";
        const char *unit = strchr(units, *end);
        if (!unit || end[1])
            return false;
        for (long steps = unit - units + 1; steps > 0; steps--) {
            if (number > INT64_MAX / 1024)
                return false;
            number *= 1024;
        }
    } else if (*end) {
        return false;
    }
    *out = number;
    return number >= setting->min && number <= setting->max;
}

static bool parse_switch(const char *text, bool *out)
{
    *out = strcmp(text, "yes") == 0;
    return *out || strcmp(text, "no") == 0;
}

static mp_rc_t check(const mpx_setting_t *setting, const char *text)
{
    int64_t number;
    bool on;
    if ((setting->type == MPX_NUMBER || setting->type == MPX_BYTES) &&
        !parse_number(setting, text, &number))
        return mpx_fault(MP_EINVAL, "%s: '%s' is not a number from %lld to %lld", setting->flag,
                         text, (long long)setting->min, (long long)setting->max);
    if (setting->type == MPX_SWITCH && !parse_switch(text, &on))
        return mpx_fault(MP_EINVAL, "%s: '%s' is neither yes nor no", setting->flag, text);
    if (text[strspn(text, setting->type == MPX_LIST ? "," : "")] == '\0')
        return mpx_fault(MP_EINVAL, "%s: the value is empty", setting->flag);
    return MP_OK;
}

static mp_rc_t add(mpx_value_t *value, const char *text, size_t length)
{
    if (value->count == MPX_LIST_MAX)
        return mpx_fault(MP_EINVAL, "a list with more than %d entries", MPX_LIST_MAX);
    char *copy = strndup(text, length);
    if (!copy)
        return MP_ENOMEM;
    value->items[value->count++] = copy;
    return MP_OK;
}

static mp_rc_t add_list(mpx_value_t *value, const char *text)
{
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && *text) {
        size_t length = strcspn(text, ",");
        if (length)
            rc = add(value, text, length);
        text += length + (text[length] == ',');
    }
    return rc;
}

static void clear(mpx_value_t *value)
{
    for (size_t i = 0; i < value->count; i++)
        free(value->items[i]);
    *value = (mpx_value_t){0};
}

mp_rc_t mpx_settings_offer(mpx_settings_t *self, const char *flag, const char *text,
                           const char *source)
{
    size_t index = 0;
    const mpx_setting_t *setting = find(self->program, flag, &index);
    if (!setting)
        return mpx_fault(MP_EINVAL, "there is no setting '%.64s'", flag);
    mp_rc_t rc = check(setting, text);
    if (rc != MP_OK)
        return rc;
    mpx_value_t *value = &self->values[index];
    bool again = value->source && strcmp(value->source, source) == 0;
    if (value->source && !again)
        return MP_OK; /* sources come strongest first */
    if (again && setting->type != MPX_LIST)
        clear(value);
    value->source = source;
    return setting->type == MPX_LIST ? add_list(value, text) : add(value, text, strlen(text));
}

/* ---- sources --------------------------------------------------------------------------- */

static void make_options(const mpx_program_t *program, struct option *out)
{
    *out++ = (struct option){"config", required_argument, NULL, OPT_CONFIG};
    *out++ = (struct option){"help", no_argument, NULL, OPT_HELP};
    *out++ = (struct option){"version", no_argument, NULL, OPT_VERSION};
    *out++ = (struct option){"check-config", no_argument, NULL, OPT_CHECK};
    for (size_t i = 0; i < program->settings_count; i++) {
        const mpx_setting_t *setting = &program->settings[i];
        int has = setting->type == MPX_SWITCH ? no_argument : required_argument;
        *out++ = (struct option){setting->flag, has, NULL, OPT_FIRST + (int)i};
    }
    *out = (struct option){0};
}

static mp_rc_t on_option(mpx_settings_t *self, int option, const char *argument)
{
    switch (option) {
    case OPT_CONFIG:
        self->config = argument;
        return MP_OK;
    case OPT_HELP:
        self->want_help = true;
        return MP_OK;
    case OPT_VERSION:
        self->want_version = true;
        return MP_OK;
    case OPT_CHECK:
        self->want_check = true;
        return MP_OK;
    default:
        return mpx_settings_offer(self, self->program->settings[option - OPT_FIRST].flag,
                                  argument ? argument : "yes", "flag");
    }
}

static mp_rc_t read_flags(mpx_settings_t *self, int argc, char **argv)
{
    struct option options[MPX_SETTINGS_MAX + 5];
    make_options(self->program, options);
    opterr = 0;
    optind = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == ':')
            return mpx_fault(MP_EINVAL, "%s needs an argument; see --help", argv[optind - 1]);
        if (option == '?' && optopt >= OPT_CONFIG)
            return mpx_fault(MP_EINVAL, "%s takes no argument; see --help", argv[optind - 1]);
        if (option == '?' && optopt)
            return mpx_fault(MP_EINVAL, "there is no option -%c; see --help", optopt);
        if (option == '?')
            return mpx_fault(MP_EINVAL, "there is no option %s; see --help", argv[optind - 1]);
        mp_rc_t rc = on_option(self, option, optarg);
        if (rc != MP_OK)
            return rc == MP_EINVAL ? mpx_fault(rc, "--%s", mp_errmsg()) : rc;
    }
    if (optind < argc)
        return mpx_fault(MP_EINVAL, "what is '%s'? There are only options; see --help",
                         argv[optind]);
    return MP_OK;
}

static mp_rc_t read_environment(mpx_settings_t *self)
{
    for (size_t i = 0; i < self->program->settings_count; i++) {
        const mpx_setting_t *setting = &self->program->settings[i];
        const char *text = setting->env ? getenv(setting->env) : NULL;
        mp_rc_t rc =
            text && *text ? mpx_settings_offer(self, setting->flag, text, "environment") : MP_OK;
        if (rc != MP_OK)
            return rc == MP_EINVAL ? mpx_fault(rc, "$%s: %s", setting->env, mp_errmsg()) : rc;
    }
    return MP_OK;
}

static mp_rc_t fill_in_defaults(mpx_settings_t *self)
{
    for (size_t i = 0; i < self->program->settings_count; i++) {
        const mpx_setting_t *setting = &self->program->settings[i];
        mp_rc_t rc = MP_OK;
        if (setting->fallback)
            rc = mpx_settings_offer(self, setting->flag, setting->fallback, "default");
        if (rc != MP_OK)
            return rc;
    }
    return MP_OK;
}

mp_rc_t mpx_settings_load(const mpx_program_t *program, int argc, char **argv, mpx_settings_t *out,
                          bool *usage)
{
    *out = (mpx_settings_t){.program = program};
    mp_rc_t rc = read_flags(out, argc, argv);
    *usage = rc != MP_OK;
    if (rc == MP_OK && !out->want_help && !out->want_version) {
        rc = read_environment(out);
        if (rc == MP_OK && out->config)
            rc = mpx_config_load(out->config, out);
        if (rc == MP_OK)
            rc = fill_in_defaults(out);
    }
    if (rc != MP_OK)
        mpx_settings_free(out);
    return rc;
}

void mpx_settings_free(mpx_settings_t *self)
{
    for (size_t i = 0; i < MPX_SETTINGS_MAX; i++)
        clear(&self->values[i]);
}

/* ---- reading ---------------------------------------------------------------------------- */

static const mpx_value_t *value_of(const mpx_settings_t *self, const char *flag)
{
    size_t index = 0;
    (void)find(self->program, flag, &index);
    return &self->values[index];
}

const char *mpx_settings_text(const mpx_settings_t *self, const char *flag)
{
    return value_of(self, flag)->items[0];
}

const char *const *mpx_settings_list(const mpx_settings_t *self, const char *flag, size_t *count)
{
    const mpx_value_t *value = value_of(self, flag);
    *count = value->count;
    return (const char *const *)value->items;
}

int64_t mpx_settings_number(const mpx_settings_t *self, const char *flag)
{
    size_t index = 0;
    const mpx_setting_t *setting = find(self->program, flag, &index);
    int64_t number = 0;
    const char *text = self->values[index].items[0];
    return text && parse_number(setting, text, &number) ? number : 0;
}

bool mpx_settings_switch(const mpx_settings_t *self, const char *flag)
{
    const char *text = mpx_settings_text(self, flag);
    return text && strcmp(text, "yes") == 0;
}

/* ---- printing --------------------------------------------------------------------------- */

static void print_option(FILE *out, const char *flag, const char *argument, const char *help)
{
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", flag, argument ? " " : "", argument ? argument : "");
    fprintf(out, "  %-26s %s\n", left, help);
}

void mpx_settings_print_help(const mpx_program_t *program, FILE *out)
{
    fprintf(out, "Usage: %s %s\n\n%s\n\nOptions:\n", program->name, program->synopsis,
            program->purpose);
    for (size_t i = 0; i < program->settings_count; i++) {
        const mpx_setting_t *setting = &program->settings[i];
        print_option(out, setting->flag, setting->argument, setting->help);
        if (setting->env || setting->fallback)
            fprintf(out, "  %-26s %s%s%s%s%s\n", "", setting->env ? "or $" : "",
                    setting->env ? setting->env : "", setting->env && setting->fallback ? "; " : "",
                    setting->fallback ? "default: " : "",
                    setting->fallback ? setting->fallback : "");
    }
    print_option(out, "config", "FILE", "read settings from FILE: lines of 'name = value'");
    print_option(out, "check-config", NULL, "say what is in force and where from, and exit");
    print_option(out, "version", NULL, "print the version and exit");
    print_option(out, "help", NULL, "print this and exit");
    fprintf(out,
            "\nA flag beats the environment, which beats the file, which beats the default.\n"
            "See %s(8).\n",
            program->name);
}

void mpx_settings_print(const mpx_settings_t *self, FILE *out)
{
    for (size_t i = 0; i < self->program->settings_count; i++) {
        const mpx_value_t *value = &self->values[i];
        fprintf(out, "%s =", self->program->settings[i].flag);
        for (size_t n = 0; n < value->count; n++)
            fprintf(out, "%s%s", n ? "," : " ", value->items[n]);
        fprintf(out, "  # %s\n", value->source ? value->source : "not set");
    }
}

int mpx_settings_main(const mpx_program_t *program, int argc, char **argv,
                      int (*run)(const mpx_settings_t *chosen))
{
    mpx_settings_t chosen;
    bool usage = false;
    mp_rc_t rc = mpx_settings_load(program, argc, argv, &chosen, &usage);
    if (rc != MP_OK) {
        fprintf(stderr, "%s: %s\n", program->name, *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
        return usage ? MPX_EXIT_USAGE : MPX_EXIT_CONFIG;
    }
    int status = MPX_EXIT_OK;
    if (chosen.want_help)
        mpx_settings_print_help(program, stdout);
    else if (chosen.want_version)
        printf("%s (libmp) %s\n", program->name, MP_VERSION_STRING);
    else
        status = run(&chosen);
    mpx_settings_free(&chosen);
    return status;
}
