/* A manager beyond this host: a server with a key, and a client that puts into a queue by its name.
 * With an address the client uses that server, such as an mp-broker, and starts none. */
#include <mp/mp.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *address, void *fd)
{
    if (write(*(int *)fd, address, strlen(address) + 1) < 0)
        _exit(1);
}

static int serve(int out, int stop)
{
    mp_manager_options_t options = {
        .address = "tcp://127.0.0.1:0", .key = "abracadabra", .key_bytes = 11};
    return mp_manager_serve(&options, tell, &out, stop) ? 1 : 0;
}

static int use(const char *address, const char *key)
{
    MP_SCOPED(mp_manager) manager = NULL;
    MP_SCOPED(mp_object) queue = NULL;
    MP_SCOPED(mp_tree) item = NULL;
    if (mp_manager_connect(address, key, key ? strlen(key) : 0, 10000, &manager) ||
        mp_manager_queue(manager, "jobs", 0, &queue) ||
        mp_managed_queue_put(queue, MP_V("hello"), -1) || mp_managed_queue_get(queue, &item, -1))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%s\n", mp_tree_str_or(item, "?"));
    return mp_object_delete(queue, -1) ? 1 : 0;
}

int main(int argc, char **argv)
{
    int told[2], stop[2];
    char address[64] = "";
    if (argc > 1)
        return use(argv[1], NULL);
    if (pipe(told) || pipe(stop))
        return 1;
    pid_t server = fork();
    if (server == 0)
        _exit(serve(told[1], stop[0]));
    close(told[1]); /* a server that fails says nothing, and this is at its end */
    if (server < 0 || read(told[0], address, sizeof address - 1) <= 0)
        return 1;
    int rc = use(address, "abracadabra");
    if (write(stop[1], "", 1) != 1 || waitpid(server, NULL, 0) < 0)
        return 1;
    return rc;
}

/* prints:
hello
*/
