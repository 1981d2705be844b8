#include "options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPECS_MAX = 48, LONG_FIRST = 1000, WORD = 1 /* what getopt_long makes of one, with "-" */ };

static void convert(const option_spec_t *specs, size_t count, struct option *longs, char *shorts)
{
    *shorts++ = ':';
    for (size_t i = 0; i < count; i++) {
        int has = specs[i].argument ? required_argument : no_argument;
        *longs++ = (struct option){specs[i].name, has, NULL, LONG_FIRST + (int)i};
        if (specs[i].letter) {
            *shorts++ = specs[i].letter;
            if (specs[i].argument)
                *shorts++ = ':';
        }
    }
    *longs = (struct option){0};
    *shorts = '\0';
}

static size_t index_of(const option_spec_t *specs, size_t count, int option)
{
    if (option >= LONG_FIRST)
        return (size_t)(option - LONG_FIRST);
    size_t i = 0;
    while (i < count && specs[i].letter != option)
        i++;
    return i;
}

/* getopt_long has met something that it can't take: say what. */
static void complain(const char *command, const option_spec_t *specs, char **argv, int option)
{
    const char *wrong = option == ':' ? "needs an argument" : "is no option";
    char name[64];
    if (optopt >= LONG_FIRST) {
        snprintf(name, sizeof name, "--%s", specs[optopt - LONG_FIRST].name);
        wrong = option == ':' ? wrong : "takes no argument";
    } else if (optopt > 0) {
        snprintf(name, sizeof name, "-%c", optopt);
    } else {
        snprintf(name, sizeof name, "%s", argv[optind - 1]);
    }
    fprintf(stderr, "mp %s: %s %s; see mp %s --help\n", command, name, wrong, command);
}

static bool set_variable(const char *command, const char *variable, const char *value)
{
    if (setenv(variable, value, 1) == 0)
        return true;
    fprintf(stderr, "mp %s: %s\n", command, strerror(errno));
    return false;
}

static bool set_number(const char *command, const option_spec_t *spec, const char *text, int *out)
{
    char *end = NULL;
    long number = strtol(text, &end, 10);
    bool is_number = end != text && !*end;
    bool is_too_much = is_number && number > INT_MAX;
    if (!is_number || is_too_much || number < spec->min) {
        fprintf(stderr, "mp %s: --%s needs a whole number of at %s %d, not '%s'\n", command,
                spec->name, is_too_much ? "most" : "least", is_too_much ? INT_MAX : spec->min,
                text);
        return false;
    }
    *out = (int)number;
    return true;
}

static bool set(const char *command, const option_spec_t *spec, const char *argument, void *self)
{
    void *field = (char *)self + spec->field;
    switch (spec->kind) {
    case OPTION_IS_SWITCH:
        *(bool *)field = true;
        return true;
    case OPTION_IS_TEXT:
        *(const char **)field = argument;
        return true;
    case OPTION_IS_NUMBER:
        return set_number(command, spec, argument, field);
    case OPTION_IS_VARIABLE:
        return set_variable(command, spec->variable, argument);
    case OPTION_IS_TAKEN:
        break;
    }
    return spec->take(self, argument);
}

/* Words that stood among the options go behind those, where the others are. Returns the first. */
static int gather(char **argv, int words)
{
    memmove(argv + optind - words, argv + 1, (size_t)words * sizeof *argv);
    return optind - words;
}

/* With "+" the first word ends the options, with "-" each is handed out, as if it were an option's:
 * we put it away where getopt_long has been. Left to itself it decides by POSIXLY_CORRECT. */
static int parse(const char *command, const option_spec_t *specs, size_t count, int argc,
                 char **argv, void *self, bool leading)
{
    struct option longs[SPECS_MAX + 1];
    char shorts[2 * SPECS_MAX + 3] = {leading ? '+' : '-'};
    assert(count <= SPECS_MAX);
    convert(specs, count, longs, shorts + 1);
    opterr = 0;
    optind = 0;
    int words = 0;
    int option;
    while ((option = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (option == ':' || option == '?') {
            complain(command, specs, argv, option);
            return -1;
        }
        if (option == WORD)
            argv[++words] = optarg;
        else if (!set(command, &specs[index_of(specs, count, option)], optarg, self))
            return -1;
    }
    return gather(argv, words);
}

int options_parse(const char *command, const option_spec_t *specs, size_t count, int argc,
                  char **argv, void *self)
{
    return parse(command, specs, count, argc, argv, self, false);
}

int options_parse_leading(const char *command, const option_spec_t *specs, size_t count, int argc,
                          char **argv, void *self)
{
    return parse(command, specs, count, argc, argv, self, true);
}

void options_print(const option_spec_t *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char left[64];
        int n = specs[i].letter ? snprintf(left, sizeof left, "-%c, ", specs[i].letter)
                                : snprintf(left, sizeof left, "    ");
        snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", specs[i].name,
                 specs[i].argument ? " " : "", specs[i].argument ? specs[i].argument : "");
        printf("  %-26s %s\n", left, specs[i].help);
    }
}
