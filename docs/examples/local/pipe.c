/* Bytes and a value tree through a pipe. Both ends stay open in the parent: an end belongs to
 * the first process that uses it. */
#include <mp/mp.h>
#include <stdio.h>
#include <stdlib.h>

static int send_both(void *arg)
{
    mp_connection_t *end = arg;
    mp_tree_t *list = MP_LIST(MP_V(1), MP_V(2), MP_V(3));
    mp_rc_t rc = mp_connection_send_bytes(end, "Hello from sender", 17, -1);
    if (rc == MP_OK)
        rc = mp_connection_send_tree(end, list, -1);
    mp_tree_destroy(&list);
    return rc != MP_OK;
}

int main(void)
{
    MP_SCOPED(mp_connection) ours = NULL;
    MP_SCOPED(mp_connection) theirs = NULL;
    MP_SCOPED(mp_process) sender = NULL;
    MP_SCOPED(mp_tree) list = NULL;
    char text[32];
    char *json = NULL;
    size_t size = 0;
    if (mp_pipe(NULL, &ours, &theirs) ||
        mp_process_new(&(mp_process_options_t){.target = send_both, .arg = theirs}, &sender) ||
        mp_process_start(sender) ||
        mp_connection_recv_bytes_into(ours, text, sizeof text, &size, 10000) ||
        mp_connection_recv_tree(ours, &list, 10000) || mp_tree_to_json(list, 0, &json))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%.*s\n%s\n", (int)size, text, json);
    free(json);
    /* The sender has ended: */
    printf("%s\n",
           mp_errname(mp_connection_recv_bytes_into(ours, text, sizeof text, &size, 10000)));
    return mp_process_join(sender, -1) != MP_OK;
}
/* prints:
Hello from sender
[1, 2, 3]
MP_EOF
*/
