/* A dict and a list, filled by a forked child and read by its parent. */
#include <mp/mp.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int fill(mp_object_t *dict, mp_object_t *list)
{
    return mp_dict_set(dict, MP_K("key"), MP_V("value"), -1) || mp_list_append(list, MP_V(42), -1);
}

static int run(mp_manager_t *manager)
{
    MP_SCOPED(mp_object) dict = NULL;
    MP_SCOPED(mp_object) list = NULL;
    MP_SCOPED(mp_tree) value = NULL;
    MP_SCOPED(mp_tree) item = NULL;
    size_t keys, items;
    if (mp_manager_dict(manager, NULL, &dict) || mp_manager_list(manager, NULL, &list))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;

    pid_t child = fork();
    if (child == 0)
        _exit(fill(dict, list));
    if (child < 0 || waitpid(child, NULL, 0) != child)
        return 1;

    if (mp_dict_get(dict, MP_K("key"), &value, 10000) || mp_dict_len(dict, &keys, 10000) ||
        mp_list_get(list, -1, &item, 10000) || mp_list_len(list, &items, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%zu key: %s\n", keys, mp_tree_str_or(value, "?"));
    printf("%zu item: %lld\n", items, (long long)mp_tree_int_or(item, -1));
    return 0;
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
1 key: value
1 item: 42
*/
