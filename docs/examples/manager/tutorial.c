/* The tutorial's program: a dict and a list that a server process keeps, changed by a child. */
#include <mp/mp.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct shared {
    mp_object_t *dict, *list;
} shared_t;

static int change(void *arg)
{
    shared_t *shared = arg; /* the child uses the handles as they are */
    if (mp_dict_set(shared->dict, MP_K(1), MP_V("1"), -1) ||
        mp_dict_set(shared->dict, MP_K("2"), MP_V(2), -1) ||
        mp_dict_set(shared->dict, MP_K(0.25), mp_tree_null(), -1) ||
        mp_list_reverse(shared->list, -1))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return 0;
}

static int show(const mp_tree_t *tree)
{
    char *json = NULL;
    if (mp_tree_to_json(tree, 0, &json))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%s\n", json);
    free(json);
    return 0;
}

static int run(mp_manager_t *manager)
{
    MP_SCOPED(mp_object) dict = NULL;
    MP_SCOPED(mp_object) list = NULL;
    MP_SCOPED(mp_process) process = NULL;
    MP_SCOPED(mp_tree) items = NULL;
    MP_SCOPED(mp_tree) numbers = NULL;
    mp_tree_t *range = mp_tree_list(NULL, 0);
    for (int i = 0; i < 10; i++)
        mp_tree_append(range, MP_V(i));
    if (mp_manager_object(manager, MP_OBJECT_LIST, &(mp_object_options_t){.initial = range},
                          &list) ||
        mp_manager_dict(manager, NULL, &dict))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;

    shared_t shared = {dict, list};
    mp_process_options_t options = {.target = change, .arg = &shared};
    if (mp_process_new(&options, &process) || mp_process_start(process) ||
        mp_process_join(process, 10000) || mp_dict_items(dict, &items, 10000) ||
        mp_list_copy(list, &numbers, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return show(items) || show(numbers);
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
[[1, "1"], ["2", 2], [0.25, null]]
[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
*/
