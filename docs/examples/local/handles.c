/* A queue and an end of a pipe, given to a process that was started by each method: references
 * travel inside any struct. */
#include <mp/mp.h>
#include <stdio.h>

typedef struct parcel {
    mp_ref_t queue, end;
} parcel_t;

MP_TARGET(answer, parcel_t)
{
    MP_SCOPED(mp_queue) queue = NULL;
    MP_SCOPED(mp_connection) end = NULL;
    return mp_queue_open(&self->queue, &queue) || mp_connection_open(&self->end, &end) ||
           mp_queue_put(queue, "through the queue", 17, 5000) ||
           mp_connection_send_bytes(end, "through the pipe", 16, 5000);
}

static mp_rc_t exchange(mp_method_t method)
{
    MP_SCOPED(mp_queue) queue = NULL;
    MP_SCOPED(mp_connection) ours = NULL;
    MP_SCOPED(mp_connection) theirs = NULL;
    MP_SCOPED(mp_process) child = NULL;
    parcel_t parcel;
    char text[32];
    size_t size;
    mp_rc_t rc = mp_queue_new(NULL, &queue);
    if (rc || (rc = mp_pipe(NULL, &ours, &theirs)) || (rc = mp_queue_ref(queue, &parcel.queue)) ||
        (rc = mp_connection_ref(theirs, &parcel.end)))
        return rc;
    mp_process_options_t options = {.registered = &answer, .item = &parcel, .method = method};
    if ((rc = mp_process_new(&options, &child)) || (rc = mp_process_start(child)) ||
        (rc = mp_queue_get(queue, text, sizeof text, &size, 10000)))
        return rc;
    printf("%s: %.*s, ", mp_method_name(method), (int)size, text);
    rc = mp_connection_recv_bytes_into(ours, text, sizeof text, &size, 10000);
    if (rc == MP_OK)
        printf("%.*s\n", (int)size, text);
    return rc ? rc : mp_process_join(child, 10000);
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    for (mp_method_t method = MP_FORK; method <= MP_FORKSERVER; method++)
        if (exchange(method))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return 0;
}
/* prints:
fork: through the queue, through the pipe
spawn: through the queue, through the pipe
forkserver: through the queue, through the pipe
*/
