#include "commands.h"
#include "exits.h"
#include "options.h"
#include "output.h"
#include "text.h"

#include <mp/broker.h>
#include <mp/manager.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct why {
    const char *broker;
    const char *what; /* "": all that waits */
    int timeout_ms;
    bool json;
    bool help;
    output_t out;
} why_t;

enum { BROKER, TIMEOUT, JSON, HELP };

static const option_spec_t specs[] = {
    [BROKER] = {"broker", 'b', "URL",
                "the broker; default: $MP_BROKER, else tcp://127.0.0.1:5555; to one\n"
                "                             with keys the one in $MP_KEY_FILE is shown"},
    [TIMEOUT] = {"timeout-ms", 0, "N", "how long to wait for its answer; default: 5000"},
    [JSON] = {"json", 0, NULL, "a JSON object for each job or object"},
    [HELP] = {"help", 'h', NULL, "print this and exit"},
};

enum { SPECS = sizeof specs / sizeof *specs };

void why_help(void)
{
    printf(
        "Usage: mp why [--broker URL] [OPTION]... [CALL | JOB | LABEL | OBJECT]\n\n"
        "Says why calls don't run, or who holds a shared object and who waits for it. CALL is\n"
        "CLIENT/JOB/CALL and JOB is CLIENT/JOB, by the numbers of mp stat; without any, all jobs\n"
        "that have calls waiting. Exit status 0: it answered; 1: it did not, in time, or there is\n"
        "no such thing.\n\n"
        "Options:\n");
    options_print(specs, SPECS);
}

static bool on_option(void *arg, size_t index, const char *argument)
{
    why_t *self = arg;
    switch (index) {
    case BROKER:
        self->broker = argument;
        return true;
    case TIMEOUT:
        return options_number("why", "timeout-ms", argument, 0, &self->timeout_ms);
    case JSON:
        self->json = true;
        return true;
    default:
        self->help = true;
        return true;
    }
}

/* ---- what is shown ------------------------------------------------------------------------ */

static const char *text_of(const mp_tree_t *dict, const char *key)
{
    return mp_tree_str_or(mp_tree_get(dict, key), "");
}

static long long number_of(const mp_tree_t *dict, const char *key)
{
    return (long long)mp_tree_int_or(mp_tree_get(dict, key), 0);
}

static void add_shown(output_t *out, const char *text)
{
    char shown[1200];
    text_show(text, strlen(text), shown, sizeof shown);
    output_text(out, shown);
}

static mp_rc_t show_json(output_t *out, const mp_tree_t *tree)
{
    char *text = NULL;
    mp_rc_t rc = mp_tree_to_json(tree, 0, &text);
    if (rc == MP_OK)
        output_printf(out, "%s\n", text);
    free(text);
    return rc;
}

static void show_call(output_t *out, const mp_tree_t *call)
{
    const mp_tree_t *number = mp_tree_get(call, "call");
    const mp_tree_t *reasons = mp_tree_get(call, "reasons");
    output_printf(out, "%lld/%lld", number_of(call, "client"), number_of(call, "job"));
    if (mp_tree_type(number) == MP_TREE_INT)
        output_printf(out, "/%lld", number_of(call, "call"));
    output_text(out, " ");
    add_shown(out, text_of(call, "task"));
    if (*text_of(call, "label")) {
        output_text(out, " (");
        add_shown(out, text_of(call, "label"));
        output_text(out, ")");
    }
    output_text(out, " of ");
    add_shown(out, text_of(call, "client_name"));
    output_printf(out, ": %s\n", text_of(call, "state"));
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(reasons); i++) {
        output_text(out, "    ");
        add_shown(out, text_of(mp_tree_at(reasons, i), "text"));
        output_text(out, "\n");
    }
}

static void show_object(output_t *out, const mp_tree_t *object)
{
    const mp_tree_t *held = mp_tree_get(object, "held"), *waiting = mp_tree_get(object, "waiting");
    add_shown(out, text_of(object, "name"));
    output_printf(out, ": a %s%s\n", text_of(object, "type"),
                  mp_tree_len(held) ? "" : ", held by nobody");
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(held); i++) {
        output_text(out, "    held by ");
        add_shown(out, text_of(mp_tree_at(held, i), "client"));
        output_printf(out, " since %lld ms\n", number_of(mp_tree_at(held, i), "held_ms"));
    }
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(waiting); i++) {
        output_text(out, "    ");
        add_shown(out, mp_tree_str_or(mp_tree_at(waiting, i), ""));
        output_text(out, i ? " waits as well\n" : " waits, and is next\n");
    }
}

/* ---- the command ---------------------------------------------------------------------------- */

static mp_rc_t ask_for_calls(why_t *self)
{
    mp_tree_t *calls = NULL;
    mp_rc_t rc = mp_broker_why(self->broker, self->what, self->timeout_ms, &calls);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(calls) && rc == MP_OK; i++) {
        if (self->json)
            rc = show_json(&self->out, mp_tree_at(calls, i));
        else
            show_call(&self->out, mp_tree_at(calls, i));
    }
    if (rc == MP_OK && !mp_tree_len(calls) && !self->json)
        output_text(&self->out, "no calls wait\n");
    mp_tree_destroy(&calls);
    return rc;
}

/* MP_ENOTFOUND: there is none of that name. */
static mp_rc_t ask_for_object(why_t *self)
{
    mp_manager_t *manager = NULL;
    mp_tree_t *objects = NULL;
    mp_rc_t rc = mp_manager_connect(self->broker, NULL, 0, self->timeout_ms, &manager);
    if (rc == MP_OK)
        rc = mp_manager_objects(manager, &objects, self->timeout_ms);
    bool found = false;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(objects) && rc == MP_OK; i++) {
        const mp_tree_t *object = mp_tree_at(objects, i);
        if (strcmp(text_of(object, "name"), self->what) != 0)
            continue;
        found = true;
        if (self->json)
            rc = show_json(&self->out, object);
        else
            show_object(&self->out, object);
    }
    mp_tree_destroy(&objects);
    mp_manager_destroy(&manager);
    return rc == MP_OK && !found ? MP_ENOTFOUND : rc;
}

static int run(why_t *self)
{
    output_init(&self->out, STDOUT_FILENO, -1);
    mp_rc_t rc = ask_for_calls(self);
    if (rc == MP_ENOTFOUND && ask_for_object(self) == MP_OK)
        rc = MP_OK;
    bool written = rc == MP_OK && output_flush(&self->out);
    if (rc == MP_ENOTFOUND)
        fprintf(stderr, "mp why: there is no open job and no object '%s'; see mp stat\n",
                self->what);
    else if (rc != MP_OK)
        fprintf(stderr, "mp why: %s\n", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    else if (!written)
        fprintf(stderr, "mp why: stdout: %s\n", strerror(self->out.error));
    output_free(&self->out);
    if (rc != MP_OK)
        return rc == MP_EINVAL ? EXIT_USAGE : EXIT_FAILED;
    return written ? EXIT_SUCCESS : EXIT_OUTPUT;
}

int why_main(int argc, char **argv)
{
    const char *broker = getenv("MP_BROKER");
    why_t self = {.broker = broker && *broker ? broker : "tcp://127.0.0.1:5555",
                  .what = "",
                  .timeout_ms = 5000};
    int rest = options_parse("why", specs, SPECS, argc, argv, on_option, &self);
    if (rest < 0)
        return EXIT_USAGE;
    if (self.help) {
        why_help();
        return EXIT_SUCCESS;
    }
    if (rest < argc)
        self.what = argv[rest++];
    if (rest < argc) {
        fprintf(stderr, "mp why: what is '%s'? See mp why --help\n", argv[rest]);
        return EXIT_USAGE;
    }
    if (strcmp(self.broker, "local") == 0) {
        fprintf(stderr, "mp why: 'local' is no broker; give --broker URL\n");
        return EXIT_USAGE;
    }
    return run(&self);
}
