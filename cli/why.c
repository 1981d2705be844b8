#include "asking.h"
#include "commands.h"
#include "fields.h"

#include <mp/broker.h>
#include <mp/manager.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct why {
    asking_t asking;
    const char *what; /* "": all that waits */
    output_t out;
} why_t;

static const option_spec_t specs[] = {
    ASKING_BROKER,         OPTION_KEY_FILE,
    ASKING_ANSWER("5000"), ASKING_JSON("a JSON object for each job or object"),
    ASKING_HELP,
};

enum { SPECS = sizeof specs / sizeof *specs };

void why_help(void)
{
    printf("Usage: mp why [--broker URL] [OPTION]... [CALL | JOB | LABEL | OBJECT]\n\n"
           "Says why calls don't run, or who holds a shared object and who waits for it. JOB is\n"
           "CLIENT/JOB, by the numbers of mp stat, or the id of a job that the broker keeps, and "
           "CALL\n"
           "is JOB/NUMBER; without any, all jobs that have calls waiting. Exit status 0: it "
           "answered;\n"
           "1: it did not, in time, or there is no such thing.\n\n"
           "Options:\n");
    options_print(specs, SPECS);
}

/* ---- what is shown ------------------------------------------------------------------------ */

static void show_call(output_t *out, const mp_tree_t *call)
{
    const mp_tree_t *number = mp_tree_get(call, "call");
    const mp_tree_t *reasons = mp_tree_get(call, "reasons");
    if (mp_tree_type(mp_tree_get(call, "job")) == MP_TREE_STR)
        field_show(out, field_text(call, "job"));
    else
        output_printf(out, "%lld/%lld", field_number(call, "client"), field_number(call, "job"));
    if (mp_tree_type(number) == MP_TREE_INT)
        output_printf(out, "/%lld", field_number(call, "call"));
    output_text(out, " ");
    field_show(out, field_text(call, "task"));
    if (*field_text(call, "label")) {
        output_text(out, " (");
        field_show(out, field_text(call, "label"));
        output_text(out, ")");
    }
    if (*field_text(call, "client_name")) {
        output_text(out, " of ");
        field_show(out, field_text(call, "client_name"));
    }
    output_printf(out, ": %s\n", field_text(call, "state"));
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(reasons); i++) {
        output_text(out, "    ");
        field_show(out, field_text(mp_tree_at(reasons, i), "text"));
        output_text(out, "\n");
    }
}

static void show_object(output_t *out, const mp_tree_t *object)
{
    const mp_tree_t *held = mp_tree_get(object, "held"), *waiting = mp_tree_get(object, "waiting");
    field_show(out, field_text(object, "name"));
    output_printf(out, ": a %s%s\n", field_text(object, "type"),
                  mp_tree_len(held) ? "" : ", held by nobody");
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(held); i++) {
        output_text(out, "    held by ");
        field_show(out, field_text(mp_tree_at(held, i), "client"));
        output_printf(out, " since %lld ms\n", field_number(mp_tree_at(held, i), "held_ms"));
    }
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(waiting); i++) {
        output_text(out, "    ");
        field_show(out, mp_tree_str_or(mp_tree_at(waiting, i), ""));
        output_text(out, i ? " waits as well\n" : " waits, and is next\n");
    }
}

/* ---- the command ---------------------------------------------------------------------------- */

static mp_rc_t ask_for_calls(why_t *self)
{
    mp_tree_t *calls = NULL;
    mp_rc_t rc = mp_broker_why(self->asking.broker, self->what, self->asking.timeout_ms, &calls);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(calls) && rc == MP_OK; i++) {
        if (self->asking.json)
            rc = field_json(&self->out, mp_tree_at(calls, i));
        else
            show_call(&self->out, mp_tree_at(calls, i));
    }
    if (rc == MP_OK && !mp_tree_len(calls) && !self->asking.json)
        output_text(&self->out, "no calls wait\n");
    mp_tree_destroy(&calls);
    return rc;
}

static mp_rc_t ask_for_object(why_t *self, bool *found)
{
    mp_manager_t *manager = NULL;
    mp_tree_t *objects = NULL;
    mp_rc_t rc =
        mp_manager_connect(self->asking.broker, NULL, 0, self->asking.timeout_ms, &manager);
    if (rc == MP_OK)
        rc = mp_manager_objects(manager, &objects, self->asking.timeout_ms);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(objects) && rc == MP_OK; i++) {
        const mp_tree_t *object = mp_tree_at(objects, i);
        if (strcmp(field_text(object, "name"), self->what) != 0)
            continue;
        *found = true;
        if (self->asking.json)
            rc = field_json(&self->out, object);
        else
            show_object(&self->out, object);
    }
    mp_tree_destroy(&objects);
    mp_manager_destroy(&manager);
    return rc;
}

/* MP_ENOTFOUND of a name may also be said of the key's file, which all asking would need. */
static int run(why_t *self)
{
    bool found = false;
    mp_rc_t rc = ask_for_calls(self);
    if (rc != MP_ENOTFOUND || !*self->what)
        return asking_end(&self->asking, rc, &self->out);
    rc = ask_for_object(self, &found);
    if (rc == MP_OK && found)
        return asking_end(&self->asking, rc, &self->out);
    fprintf(stderr, "mp why: %s: there is no open job and no object '%s'", self->asking.broker,
            self->what);
    fprintf(stderr, rc == MP_OK ? "; see mp stat\n" : " to be seen: %s\n", mp_errmsg());
    return EXIT_FAILED;
}

int why_main(int argc, char **argv)
{
    why_t self = {
        .asking = {.command = "why", .show_help = why_help, .words_max = 1, .timeout_ms = 5000}};
    int status;
    if (!asking_parse(&self.asking, specs, SPECS, argc, argv, &status))
        return status;
    self.what = self.asking.word_count ? self.asking.words[0] : "";
    output_init(&self.out, STDOUT_FILENO, -1);
    status = run(&self);
    output_free(&self.out);
    return status;
}
