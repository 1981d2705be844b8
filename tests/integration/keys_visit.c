/* keys_visit: a client of a broker's objects, for keys.sh.
 *
 *     keys_visit URL read|write|fork|stay|watch|flood [CERTIFICATE]
 *
 * stay writes until it can't, watch reads so; flood asks 5000 things at once. Exit status 1: the
 * broker said no, with the code and the words on stderr. */
#include <mp/mp.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 10000, FLOOD = 5000 };

static mp_manager_t *manager;

static int say(const char *what, mp_rc_t rc)
{
    fprintf(stderr, "%s: %s: %s\n", what, mp_errname(rc), mp_errmsg());
    return 1;
}

static mp_rc_t connect_to(const char *url, const char *certificate)
{
    mp_connect_options_t options = {.key_file = certificate};
    return mp_manager_connect_with(url, &options, WAIT_MS, &manager);
}

static int writes(mp_object_t *dict)
{
    mp_rc_t rc = mp_dict_set(dict, MP_K("a"), MP_V(41), WAIT_MS);
    if (rc == MP_OK)
        rc = mp_dict_add(dict, MP_K("a"), 1, NULL, WAIT_MS);
    return rc == MP_OK ? 0 : say("write", rc);
}

static int reads(mp_object_t *dict)
{
    bool there = false;
    mp_rc_t rc = mp_dict_contains(dict, MP_K("a"), &there, WAIT_MS);
    if (rc != MP_OK)
        return say("read", rc);
    return there ? 0 : say("read", MP_ENOTFOUND);
}

/* The child has the handle, and no connection yet. */
static int reads_in_a_child(mp_object_t *dict)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0)
        _exit(reads(dict) || writes(dict));
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return say("fork", MP_EFAILED);
    return reads(dict);
}

static int stays(mp_object_t *dict)
{
    puts("staying");
    fflush(stdout);
    for (;;) {
        int status = writes(dict);
        if (status)
            return status;
        usleep(20000);
    }
}

static int watches(mp_object_t *dict)
{
    puts("staying");
    fflush(stdout);
    for (;;) {
        int status = reads(dict);
        if (status)
            return status;
        usleep(20000);
    }
}

static int floods(mp_object_t *dict)
{
    mp_pipeline_t *pipeline = NULL;
    mp_rc_t rc = mp_pipeline_new(manager, NULL, &pipeline);
    mp_object_t *noted = rc == MP_OK ? mp_pipeline_object(pipeline, dict) : NULL;
    for (int i = 0; i < FLOOD && rc == MP_OK; i++)
        rc = mp_dict_contains(noted, MP_K("a"), NULL, WAIT_MS);
    if (rc == MP_OK)
        rc = mp_pipeline_run(pipeline, WAIT_MS);
    mp_pipeline_destroy(&pipeline);
    return rc == MP_OK ? 0 : say("flood", rc);
}

int main(int argc, char **argv)
{
    static const struct mode {
        const char *name;
        int (*run)(mp_object_t *dict);
    } modes[] = {{"read", reads}, {"write", writes},  {"fork", reads_in_a_child},
                 {"stay", stays}, {"watch", watches}, {"flood", floods}};
    mp_object_t *dict = NULL;
    int status = 2;
    mp_rc_t rc = argc >= 3 ? connect_to(argv[1], argc > 3 ? argv[3] : NULL) : MP_EINVAL;
    if (rc == MP_OK)
        rc = mp_manager_dict(manager, "shared", &dict);
    if (rc != MP_OK)
        status = say("connect", rc);
    for (size_t i = 0; rc == MP_OK && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[2], modes[i].name) == 0)
            status = modes[i].run(dict);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
    return status;
}
