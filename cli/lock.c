#include "commands.h"
#include "exits.h"
#include "options.h"
#include "output.h"
#include "text.h"

#include <mp/manager.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_MAX = 4096, TIMEOUT_MS = 3000 };

typedef struct lock {
    const char *broker;
    const char *key_file;
    bool json;
    bool help;
    char key[KEY_MAX];
    size_t key_bytes;
    output_t out;
} lock_t;

enum { BROKER, KEY_FILE, JSON, HELP };

static const option_spec_t specs[] = {
    [BROKER] = {"broker", 'b', "URL",
                "a broker, or a manager's address; default: $MP_BROKER, else tcp://127.0.0.1:5555"},
    [KEY_FILE] = {"key-file", 'k', "FILE", "its key: what is in FILE, but a last newline"},
    [JSON] = {"json", 0, NULL, "a JSON object for each lock or semaphore"},
    [HELP] = {"help", 'h', NULL, "print this and exit"},
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

static bool on_option(void *arg, size_t index, const char *argument)
{
    lock_t *self = arg;
    if (index == BROKER)
        self->broker = argument;
    else if (index == KEY_FILE)
        self->key_file = argument;
    else if (index == JSON)
        self->json = true;
    else
        self->help = true;
    return true;
}

static bool read_key(lock_t *self)
{
    FILE *file = fopen(self->key_file, "r");
    if (file)
        self->key_bytes = fread(self->key, 1, KEY_MAX, file);
    if (!file || ferror(file) || self->key_bytes == KEY_MAX) {
        fprintf(stderr, "mp lock: %s: can't be read, or is no key of less than %d bytes\n",
                self->key_file, KEY_MAX);
        if (file)
            fclose(file);
        return false;
    }
    fclose(file);
    if (self->key_bytes && self->key[self->key_bytes - 1] == '\n')
        self->key_bytes--;
    return true;
}

/* ---- what is shown -----------------------------------------------------------------------------
 */

static const char *text_of(const mp_tree_t *object, const char *key)
{
    return mp_tree_str_or(mp_tree_get(object, key), "");
}

static long long number_of(const mp_tree_t *object, const char *key)
{
    return (long long)mp_tree_int_or(mp_tree_get(object, key), 0);
}

static bool is_semaphore(const mp_tree_t *object)
{
    return strstr(text_of(object, "type"), "semaphore") != NULL;
}

static void show_time(output_t *out, long long ms)
{
    if (ms < 10000)
        output_printf(out, "%lld.%lld s", ms / 1000, ms % 1000 / 100);
    else
        output_printf(out, "%lld s", ms / 1000);
}

static void show_client(output_t *out, const char *name)
{
    char shown[200];
    text_show(name, strlen(name), shown, sizeof shown);
    output_text(out, shown);
}

static void show_holder(output_t *out, const mp_tree_t *holder)
{
    long long units = number_of(holder, "units");
    output_text(out, "    held by ");
    show_client(out, text_of(holder, "client"));
    if (mp_tree_get(holder, "token"))
        output_printf(out, ", token %lld", number_of(holder, "token"));
    else if (units != 1)
        output_printf(out, ", %lld units", units);
    output_text(out, ", since ");
    show_time(out, number_of(holder, "held_ms"));
    output_text(out, "\n");
}

static void show_text(output_t *out, const mp_tree_t *object)
{
    const char *name = text_of(object, "name");
    const mp_tree_t *held = mp_tree_get(object, "held"), *waiting = mp_tree_get(object, "waiting");
    if (*name)
        show_client(out, name);
    else
        output_printf(out, "#%lld", number_of(object, "id"));
    output_printf(out, "  %s", text_of(object, "type"));
    if (is_semaphore(object))
        output_printf(out, ", %lld free", number_of(object, "items"));
    output_text(out, "\n");
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(held); i++)
        show_holder(out, mp_tree_at(held, i));
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(waiting); i++) {
        output_text(out, "    ");
        show_client(out, mp_tree_str_or(mp_tree_at(waiting, i), ""));
        output_text(out, " waits\n");
    }
}

static mp_tree_t *copy_of(const mp_tree_t *object, const char *key)
{
    return mp_tree_copy(mp_tree_get(object, key));
}

static mp_rc_t show_json(output_t *out, const mp_tree_t *object)
{
    char *text = NULL;
    mp_tree_t *line = MP_DICT({"id", copy_of(object, "id")}, {"name", copy_of(object, "name")},
                              {"type", copy_of(object, "type")}, {"held", copy_of(object, "held")},
                              {"waiting", copy_of(object, "waiting")});
    mp_rc_t rc = line ? MP_OK : MP_ENOMEM;
    if (rc == MP_OK && is_semaphore(object))
        rc = mp_tree_set(line, "value", copy_of(object, "items"));
    if (rc == MP_OK)
        rc = mp_tree_to_json(line, 0, &text);
    if (rc == MP_OK)
        output_printf(out, "%s\n", text);
    free(text);
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
        if (self->json)
            rc = show_json(&self->out, object);
        else
            show_text(&self->out, object);
    }
    return rc;
}

/* ---- the command -------------------------------------------------------------------------------
 */

static int complain(mp_rc_t rc)
{
    fprintf(stderr, "mp lock: %s\n", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    return rc == MP_EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static int run(lock_t *self)
{
    mp_manager_t *manager = NULL;
    mp_tree_t *objects = NULL;
    if (self->key_file && !read_key(self))
        return EXIT_FAILED;
    mp_rc_t rc = mp_manager_connect(self->broker, self->key_file ? self->key : NULL,
                                    self->key_bytes, TIMEOUT_MS, &manager);
    if (rc == MP_OK)
        rc = mp_manager_objects(manager, &objects, TIMEOUT_MS);
    if (rc != MP_OK) {
        int status = complain(rc);
        mp_manager_destroy(&manager);
        return status;
    }
    output_init(&self->out, STDOUT_FILENO, -1);
    rc = show(self, objects);
    bool written = rc == MP_OK && output_flush(&self->out);
    output_free(&self->out);
    mp_tree_destroy(&objects);
    mp_manager_destroy(&manager);
    if (rc != MP_OK)
        return complain(rc);
    if (!written)
        fprintf(stderr, "mp lock: stdout: %s\n", strerror(self->out.error));
    return written ? EXIT_SUCCESS : EXIT_OUTPUT;
}

int lock_main(int argc, char **argv)
{
    const char *broker = getenv("MP_BROKER");
    lock_t self = {.broker = broker && *broker ? broker : "tcp://127.0.0.1:5555"};
    int rest = options_parse("lock", specs, SPECS, argc, argv, on_option, &self);
    if (rest < 0)
        return EXIT_USAGE;
    if (self.help) {
        lock_help();
        return 0;
    }
    if (rest < argc) {
        fprintf(stderr, "mp lock: what is '%s'? See mp lock --help\n", argv[rest]);
        return EXIT_USAGE;
    }
    if (strcmp(self.broker, "local") == 0) {
        fprintf(stderr, "mp lock: 'local' is no broker; give --broker URL\n");
        return EXIT_USAGE;
    }
    return run(&self);
}
