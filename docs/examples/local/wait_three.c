/* One wait for a connection, a queue and the end of a process. */
#include <mp/mp.h>
#include <stdbool.h>
#include <stdio.h>

static mp_connection_t *ours, *theirs;
static mp_queue_t *queue;

static int say_both(void *arg)
{
    (void)arg;
    return mp_connection_send_bytes(theirs, "word", 4, -1) || mp_queue_put(queue, "item", 4, -1);
}

int main(void)
{
    mp_process_t *child = NULL;
    if (mp_pipe(NULL, &ours, &theirs) || mp_queue_new(NULL, &queue) ||
        mp_process_new(&(mp_process_options_t){.target = say_both}, &child) ||
        mp_process_start(child))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    char text[8];
    size_t size;
    bool word = false, item = false, end = false;
    while (!word || !item || !end) {
        mp_waitable_t things[] = {{.connection = ours}, {.queue = queue}, {.process = child}};
        if (mp_wait(things, 3, 10000, NULL))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
        if (things[0].ready &&
            mp_connection_recv_bytes_into(ours, text, sizeof text, &size, 0) == MP_OK)
            word = true;
        if (things[1].ready && mp_queue_get(queue, text, sizeof text, &size, 0) == MP_OK)
            item = true;
        if (things[2].ready && mp_process_join(child, 0) == MP_OK)
            end = true;
    }
    printf("the word, the item and the end of the child\n");
    mp_process_destroy(&child);
    mp_connection_destroy(&ours);
    mp_connection_destroy(&theirs);
    mp_queue_destroy(&queue);
    return 0;
}
/* prints:
the word, the item and the end of the child
*/
