#include "commands.h"
#include "exits.h"
#include "input.h"
#include "options.h"
#include "output.h"
#include "secret.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <mp/queue.h>
#include <mp/tree.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NEVER = -1 };

typedef struct queue {
    const char *address;
    secret_t secret;
    int count;
    int maxsize;
    int timeout_ms;
    bool json;
    bool help;
    mp_queue_t *handle;
    output_t out;
} queue_t;

static const option_spec_t specs[] = {
    {"key-file", 'k', "FILE", "the queue's key: what is in FILE, but a last newline",
     OPTION_TEXT(queue_t, secret.file)},
    {"json", 0, NULL, "put: each line is JSON; get, stat: print JSON",
     OPTION_SWITCH(queue_t, json)},
    {"count", 'n', "N", "get: so many items; 0: without end; default: 1",
     OPTION_NUMBER(queue_t, count, 0)},
    {"timeout-ms", 0, "N", "wait so long for an item, a place, or an answer",
     OPTION_NUMBER(queue_t, timeout_ms, 0)},
    {"maxsize", 0, "N", "own: items that it may hold; default: as many as fit",
     OPTION_NUMBER(queue_t, maxsize, 1)},
    {"help", 'h', NULL, "print this and exit", OPTION_SWITCH(queue_t, help)},
};

enum { SPECS = sizeof specs / sizeof *specs };

void queue_help(void)
{
    printf("Usage: mp queue own ENDPOINT [OPTION]...\n"
           "       mp queue put|get|stat ADDRESS [OPTION]...\n\n"
           "  own   hold a queue at tcp://HOST:PORT or ipc:///PATH until SIGTERM; prints: ready "
           "ADDRESS\n"
           "  put   put each line of the input, and wait until all are acknowledged\n"
           "  get   print items, one a line\n"
           "  stat  say what is in it, and who uses it\n\n"
           "Exit status 0: done; 1: not all of it, in time; 3: the queue can't be reached.\n\n"
           "Options:\n");
    options_print(specs, SPECS);
}

static int complain(mp_rc_t rc)
{
    fprintf(stderr, "mp queue: %s\n", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    switch (rc) {
    case MP_EINVAL:
        return EXIT_USAGE;
    case MP_ECONNECT:
    case MP_EAUTH:
    case MP_ENOTFOUND:
    case MP_EVERSION:
    case MP_EPERM:
    case MP_EEXIST:
        return EXIT_UNABLE;
    default:
        return EXIT_FAILED;
    }
}

/* ---- own ------------------------------------------------------------------------------------- */

static int own(queue_t *self)
{
    sigset_t ends;
    int signal;
    size_t left = 0;
    mp_queue_options_t options = {.endpoint = self->address,
                                  .maxsize = (size_t)self->maxsize,
                                  .key = secret_bytes(&self->secret),
                                  .key_bytes = self->secret.size};
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    mp_rc_t rc = mp_queue_new(&options, &self->handle);
    if (rc != MP_OK)
        return complain(rc);
    output_printf(&self->out, "ready %s\n", mp_queue_address(self->handle));
    int status = output_end(&self->out, "queue");
    if (status != EXIT_SUCCESS)
        return status;
    while (sigwait(&ends, &signal) != 0)
        ;
    rc = mp_queue_qsize(self->handle, &left, NEVER);
    if (rc == MP_OK && left > 0)
        fprintf(stderr, "mp queue: %zu items are lost with it\n", left);
    return left > 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

/* ---- put ------------------------------------------------------------------------------------- */

static mp_rc_t put_line(queue_t *self, const input_line_t *line)
{
    mp_tree_t *tree = NULL;
    if (!self->json)
        return mp_queue_put(self->handle, line->text, line->size, self->timeout_ms);
    mp_rc_t rc = mp_tree_from_json(line->text, line->size, NULL, &tree);
    if (rc != MP_OK)
        return MP_EINVAL;
    rc = mp_queue_put_tree(self->handle, tree, self->timeout_ms);
    mp_tree_destroy(&tree);
    return rc;
}

/* Bad lines are passed over; anything else ends it. */
static mp_rc_t put_lines(queue_t *self, input_t *input, size_t *bad)
{
    size_t number = 0;
    input_line_t line;
    while (!input_done(input)) {
        while (input_next(input, &line)) {
            number++;
            mp_rc_t rc = line.too_long ? MP_ETOOLARGE : put_line(self, &line);
            if (rc != MP_OK && rc != MP_EINVAL && rc != MP_ETOOLARGE)
                return rc;
            if (rc == MP_OK)
                continue;
            fprintf(stderr, "mp queue: line %zu: %s\n", number,
                    line.too_long ? "longer than 1 MiB" : mp_errmsg());
            ++*bad;
        }
        if (!input_done(input))
            input_fill(input);
    }
    return MP_OK;
}

static int put(queue_t *self)
{
    size_t bad = 0;
    input_t input;
    if (!input_init(&input, STDIN_FILENO))
        return complain(MP_ENOMEM);
    mp_rc_t rc = put_lines(self, &input, &bad);
    int unread = input.error;
    input_free(&input);
    if (unread)
        fprintf(stderr, "mp queue: the input: %s\n", strerror(unread));
    mp_rc_t flushed = rc == MP_OK ? mp_queue_flush(self->handle, self->timeout_ms) : rc;
    if (flushed != MP_OK)
        return complain(flushed);
    return bad || unread ? EXIT_FAILED : EXIT_SUCCESS;
}

/* ---- get ------------------------------------------------------------------------------------- */

static bool is_utf8(const unsigned char *bytes, size_t size)
{
    for (size_t length; size; bytes += length, size -= length)
        if (!(length = text_utf8(bytes, size)))
            return false;
    return true;
}

static mp_rc_t print_tree(queue_t *self, const mp_item_t *item)
{
    mp_tree_t *tree = NULL;
    char *text = NULL;
    mp_rc_t rc = mp_item_tree(item, &tree);
    if (rc == MP_OK)
        rc = mp_tree_to_json(tree, 0, &text);
    if (rc == MP_OK)
        output_text(&self->out, text);
    free(text);
    mp_tree_destroy(&tree);
    return rc;
}

static mp_rc_t print_item(queue_t *self, const mp_item_t *item)
{
    mp_rc_t rc = MP_OK;
    if (item->kind == MP_ITEM_TREE) {
        rc = print_tree(self, item);
    } else if (!self->json) {
        output_add(&self->out, item->data, item->size);
    } else if (is_utf8(item->data, item->size)) {
        output_json(&self->out, item->data, item->size);
    } else {
        output_text(&self->out, "{\"$bytes\":\"");
        output_base64(&self->out, item->data, item->size);
        output_text(&self->out, "\"}");
    }
    output_text(&self->out, "\n");
    return rc;
}

/* An item is done with when it is written, and not before. */
static int get_one(queue_t *self)
{
    mp_item_t item;
    mp_rc_t rc = mp_queue_get_item(self->handle, &item, self->timeout_ms);
    if (rc != MP_OK)
        return complain(rc);
    rc = print_item(self, &item);
    mp_item_clear(&item);
    if (rc != MP_OK)
        return complain(rc);
    int status = output_end(&self->out, "queue");
    if (status != EXIT_SUCCESS) {
        (void)mp_queue_give_back(self->handle);
        return status;
    }
    if (mp_queue_task_done(self->handle) != MP_OK) /* neither joinable */
        (void)mp_queue_settle(self->handle, 1);    /* nor settled explicitly: by the next get */
    return EXIT_SUCCESS;
}

static int get(queue_t *self)
{
    int status = EXIT_SUCCESS;
    for (int i = 0; status == EXIT_SUCCESS && (i < self->count || !self->count); i++)
        status = get_one(self);
    return status;
}

/* ---- stat ------------------------------------------------------------------------------------ */

static int stat_of(queue_t *self)
{
    mp_queue_stat_t stat;
    mp_rc_t rc = mp_queue_stat(self->handle, &stat, self->timeout_ms);
    if (rc != MP_OK)
        return complain(rc);
    output_printf(&self->out,
                  self->json
                      ? "{\"size\":%zu,\"prefetched\":%zu,\"waiting\":%zu,\"bytes\":%zu,"
                        "\"unfinished\":%zu,\"maxsize\":%zu,\"peers\":%zu,\"put\":%llu,"
                        "\"got\":%llu,\"redelivered\":%llu,\"carrier\":\"%s\"}\n"
                      : "%zu queued, %zu in hand, %zu waiting, %zu bytes, %zu unfinished, maxsize "
                        "%zu, %zu peers, %llu put, %llu got, %llu redelivered, over %s\n",
                  stat.size, stat.prefetched, stat.waiting, stat.bytes, stat.unfinished,
                  stat.maxsize, stat.peers, (unsigned long long)stat.put,
                  (unsigned long long)stat.got, (unsigned long long)stat.redelivered, stat.carrier);
    return output_end(&self->out, "queue");
}

/* ---- the command ------------------------------------------------------------------------------
 */

static const struct action {
    const char *name;
    int (*run)(queue_t *self);
    bool visits;
    int timeout_ms; /* where none is given */
} actions[] = {
    {"own", own, false, 0},
    {"put", put, true, NEVER},
    {"get", get, true, NEVER},
    {"stat", stat_of, true, 3000},
};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (name && strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static int run(queue_t *self, const struct action *action)
{
    mp_rc_t rc = MP_OK;
    if (self->timeout_ms < 0)
        self->timeout_ms = action->timeout_ms;
    if (!secret_read(&self->secret, "queue"))
        return EXIT_UNABLE;
    if (action->visits)
        rc = mp_queue_connect(self->address, secret_bytes(&self->secret), self->secret.size,
                              &self->handle);
    if (rc != MP_OK)
        return complain(rc);
    output_init(&self->out, STDOUT_FILENO, -1);
    int status = action->run(self);
    output_free(&self->out);
    mp_queue_destroy(&self->handle);
    return status;
}

int queue_main(int argc, char **argv)
{
    queue_t self = {.count = 1, .timeout_ms = NEVER};
    int rest = options_parse("queue", specs, SPECS, argc, argv, &self);
    if (rest < 0)
        return EXIT_USAGE;
    if (self.help) {
        queue_help();
        return 0;
    }
    const struct action *action = find_action(argv[rest]);
    if (argc - rest != 2 || !action) {
        fprintf(stderr, "mp queue: own, put, get or stat, and an address? See mp queue --help\n");
        return EXIT_USAGE;
    }
    self.address = argv[rest + 1];
    return run(&self, action);
}
