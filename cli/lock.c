#include "asking.h"
#include "commands.h"
#include "fields.h"
#include "secret.h"

#include <mp/manager.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct lock {
    asking_t asking;
    secret_t secret;
    output_t out;
} lock_t;

static const option_spec_t specs[] = {
    {"broker", 'b', "URL",
     "a broker, or a manager's address; default: $MP_BROKER, else\n"
     "                             tcp://127.0.0.1:5555",
     OPTION_TEXT(asking_t, broker)},
    OPTION_KEY_FILE,
    {"manager-key", 'k', "FILE",
     "the key of a program's manager: what is in FILE, but a last newline",
     OPTION_TEXT(lock_t, secret.file)},
    ASKING_ANSWER("3000"),
    ASKING_JSON("a JSON object for each lock or semaphore"),
    ASKING_HELP,
};

enum { SPECS = sizeof specs / sizeof *specs };

void lock_help(void)
{
    printf(
        "Usage: mp lock [--broker URL] [OPTION]...\n\n"
        "Lists the locks and semaphores of a broker, or of a program's manager: who holds them,\n"
        "and who waits. Exit status 0: it answered; 1: it did not, in time.\n\n"
        "Options:\n");
    options_print(specs, SPECS);
}

/* ---- what is shown -----------------------------------------------------------------------------
 */

static bool is_semaphore(const mp_tree_t *object)
{
    return strstr(field_text(object, "type"), "semaphore") != NULL;
}

static void show_time(output_t *out, long long ms)
{
    if (ms < 10000)
        output_printf(out, "%lld.%lld s", ms / 1000, ms % 1000 / 100);
    else
        output_printf(out, "%lld s", ms / 1000);
}

static void show_holder(output_t *out, const mp_tree_t *holder)
{
    long long units = field_number(holder, "units");
    output_text(out, "    held by ");
    field_show(out, field_text(holder, "client"));
    if (mp_tree_get(holder, "token"))
        output_printf(out, ", token %lld", field_number(holder, "token"));
    else if (units != 1)
        output_printf(out, ", %lld units", units);
    output_text(out, ", since ");
    show_time(out, field_number(holder, "held_ms"));
    output_text(out, "\n");
}

static void show_text(output_t *out, const mp_tree_t *object)
{
    const char *name = field_text(object, "name");
    const mp_tree_t *held = mp_tree_get(object, "held"), *waiting = mp_tree_get(object, "waiting");
    if (*name)
        field_show(out, name);
    else
        output_printf(out, "#%lld", field_number(object, "id"));
    output_printf(out, "  %s", field_text(object, "type"));
    if (is_semaphore(object))
        output_printf(out, ", %lld free", field_number(object, "items"));
    output_text(out, "\n");
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(held); i++)
        show_holder(out, mp_tree_at(held, i));
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(waiting); i++) {
        output_text(out, "    ");
        field_show(out, mp_tree_str_or(mp_tree_at(waiting, i), ""));
        output_text(out, " waits\n");
    }
}

static mp_tree_t *copy_of(const mp_tree_t *object, const char *key)
{
    return mp_tree_copy(mp_tree_get(object, key));
}

static mp_rc_t show_json(output_t *out, const mp_tree_t *object)
{
    mp_tree_t *line = MP_DICT({"id", copy_of(object, "id")}, {"name", copy_of(object, "name")},
                              {"type", copy_of(object, "type")}, {"held", copy_of(object, "held")},
                              {"waiting", copy_of(object, "waiting")});
    mp_rc_t rc = line ? MP_OK : MP_ENOMEM;
    if (rc == MP_OK && is_semaphore(object))
        rc = mp_tree_set(line, "value", copy_of(object, "items"));
    if (rc == MP_OK)
        rc = field_json(out, line);
    mp_tree_destroy(&line);
    return rc;
}

static mp_rc_t show(lock_t *self, const mp_tree_t *objects)
{
    mp_rc_t rc = MP_OK;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(objects) && rc == MP_OK; i++) {
        const mp_tree_t *object = mp_tree_at(objects, i);
        if (!mp_tree_get(object, "held"))
            continue;
        if (self->asking.json)
            rc = show_json(&self->out, object);
        else
            show_text(&self->out, object);
    }
    return rc;
}

/* ---- the command ---------------------------------------------------------------------------- */

static mp_rc_t ask(lock_t *self)
{
    mp_manager_t *manager = NULL;
    mp_tree_t *objects = NULL;
    mp_rc_t rc = mp_manager_connect(self->asking.broker, secret_bytes(&self->secret),
                                    self->secret.size, self->asking.timeout_ms, &manager);
    if (rc == MP_OK)
        rc = mp_manager_objects(manager, &objects, self->asking.timeout_ms);
    if (rc == MP_OK)
        rc = show(self, objects);
    mp_tree_destroy(&objects);
    mp_manager_destroy(&manager);
    return rc;
}

int lock_main(int argc, char **argv)
{
    lock_t self = {.asking = {.command = "lock", .show_help = lock_help, .timeout_ms = 3000}};
    int status;
    if (!asking_parse(&self.asking, specs, SPECS, argc, argv, &status))
        return status;
    if (!secret_read(&self.secret, "lock"))
        return EXIT_FAILED;
    output_init(&self.out, STDOUT_FILENO, -1);
    status = asking_end(&self.asking, ask(&self), &self.out);
    output_free(&self.out);
    return status;
}
