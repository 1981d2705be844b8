/* far_queue.h: queues as the tests of each backend make and use them. */
#ifndef FAR_QUEUE_H
#define FAR_QUEUE_H

#include "far.h"

static inline mp_queue_t *new_queue(mp_queue_options_t options)
{
    mp_queue_t *queue = NULL;
    options.no_lane = far_is("ipc");
    if (far_is("tcp")) {
        options.endpoint = "tcp://127.0.0.1:0";
        options.key = far_key;
        options.key_bytes = KEY_BYTES;
    }
    OK(mp_queue_new(&options, &queue));
    return queue;
}

/* The queue as the other side has it. */
static inline mp_queue_t *over_there(mp_queue_t *queue)
{
    mp_queue_t *mine = queue;
    if (far_is("tcp"))
        OK(mp_queue_connect(mp_queue_address(queue), far_key, KEY_BYTES, &mine));
    return mine;
}

static inline void put_number(mp_queue_t *queue, uint64_t number)
{
    OK(mp_queue_put(queue, &number, sizeof number, LONG_MS));
}

static inline uint64_t get_number(mp_queue_t *queue)
{
    uint64_t number = 0;
    size_t size = 0;
    OK(mp_queue_get(queue, &number, sizeof number, &size, LONG_MS));
    ck_assert_uint_eq(size, sizeof number);
    return number;
}

static inline size_t qsize(mp_queue_t *queue)
{
    size_t size = 0;
    OK(mp_queue_qsize(queue, &size, LONG_MS));
    return size;
}

#endif
