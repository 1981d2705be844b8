/* A listener and a client over tcp, with a key that both must have. */
#include <mp/mp.h>
#include <stdio.h>

static const char key[] = "a secret of both";

static int call(void *address)
{
    MP_SCOPED(mp_connection) connection = NULL;
    MP_SCOPED(mp_tree) order = MP_DICT({"name", MP_V("frame")}, {"number", MP_V(7)});
    return mp_client(address, key, sizeof key, 10000, &connection) ||
           mp_connection_send_tree(connection, order, -1);
}

int main(void)
{
    MP_SCOPED(mp_listener) listener = NULL;
    MP_SCOPED(mp_process) client = NULL;
    MP_SCOPED(mp_connection) connection = NULL;
    MP_SCOPED(mp_tree) order = NULL;
    mp_listener_options_t options = {.key = key, .key_bytes = sizeof key};
    if (mp_listener_new("tcp://127.0.0.1:0", &options, &listener))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    char address[128];
    snprintf(address, sizeof address, "%s", mp_listener_address(listener));
    if (mp_process_new(&(mp_process_options_t){.target = call, .arg = address}, &client) ||
        mp_process_start(client) || mp_listener_accept(listener, 10000, &connection) ||
        mp_connection_recv_tree(connection, &order, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%s over %s: %s %lld\n", mp_listener_last_accepted(listener),
           mp_connection_carrier(connection), mp_tree_str_or(mp_tree_get(order, "name"), "?"),
           (long long)mp_tree_int_or(mp_tree_get(order, "number"), -1));
    return mp_process_join(client, 10000) != MP_OK;
}
/* prints:
127.0.0.1 over tcp: frame 7
*/
