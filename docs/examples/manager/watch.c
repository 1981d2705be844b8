/* A list that a child appends to, while its parent watches it and prints what is new. */
#include <mp/mp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>

static int write_log(void *list)
{
    char line[16];
    for (int i = 1; i <= 5; i++) {
        snprintf(line, sizeof line, "line %d", i);
        if (mp_list_append(list, MP_V(line), -1))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
        thrd_sleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return mp_list_append(list, MP_V("end"), -1) != MP_OK;
}

/* All from *next on. A watch tells that there was a change, not how many. */
static mp_rc_t print_new(mp_object_t *list, int64_t *next, bool *end)
{
    mp_tree_t *item = NULL;
    mp_rc_t rc;
    while ((rc = mp_list_next(list, next, &item, 10000)) == MP_OK) {
        const char *text = mp_tree_str_or(item, "?");
        printf("%s\n", text);
        *end = strcmp(text, "end") == 0;
        mp_tree_destroy(&item);
    }
    return rc == MP_EOF ? MP_OK : rc;
}

static int run(mp_manager_t *manager)
{
    MP_SCOPED(mp_object) list = NULL;
    MP_SCOPED(mp_process) writer = NULL;
    uint64_t version = 0;
    int64_t next = 0;
    bool end = false;
    if (mp_manager_list(manager, NULL, &list) ||
        mp_process_new(&(mp_process_options_t){.target = write_log, .arg = list}, &writer) ||
        mp_process_start(writer))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    while (!end)
        if (mp_object_watch(list, &version, 10000) || print_new(list, &next, &end))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return mp_process_join(writer, 10000) != MP_OK;
}

int main(int argc, char **argv)
{
    MP_SCOPED(mp_manager) manager = NULL;
    if (argc > 1 ? mp_manager_connect(argv[1], NULL, 0, 10000, &manager)
                 : mp_manager_start(NULL, &manager))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return run(manager);
}
/* prints:
line 1
line 2
line 3
line 4
line 5
end
*/
