/* Messages of protobuf-c through a queue and a connection. */
#include "mp.pb-c.h"
#include "suite.h"

#include <mp/mp.h>
#include <mp/protobuf.h>

static char words[] = "it is broken";
static const Mp__Problem problem = {.base = PROTOBUF_C_MESSAGE_INIT(&mp__problem__descriptor),
                                    .message = words};

static void check(ProtobufCMessage *message)
{
    ck_assert_str_eq(((Mp__Problem *)message)->message, words);
    protobuf_c_message_free_unpacked(message, NULL);
}

START_TEST(messages_go_through_a_queue)
{
    mp_queue_t *queue = NULL;
    ProtobufCMessage *message = NULL;
    ck_assert_int_eq(mp_queue_new(NULL, &queue), MP_OK);
    ck_assert_int_eq(mp_queue_put_message(queue, &problem.base, 0), MP_OK);
    ck_assert_int_eq(mp_queue_get_message(queue, &mp__problem__descriptor, &message, 0), MP_OK);
    check(message);
    message = NULL;
    ck_assert_int_eq(mp_queue_put(queue, "bytes", 5, 0), MP_OK);
    ck_assert_int_eq(mp_queue_get_message(queue, &mp__problem__descriptor, &message, 0), MP_EINVAL);
    ck_assert_int_eq(mp_queue_put_item(queue, MP_ITEM_MESSAGE, "\xff\xff", 2, 0), MP_OK);
    ck_assert_int_eq(mp_queue_get_message(queue, &mp__problem__descriptor, &message, 0), MP_EPROTO);
    ck_assert_int_eq(mp_queue_get_message(queue, &mp__problem__descriptor, &message, 0), MP_EEMPTY);
    ck_assert_ptr_null(message);
    mp_queue_destroy(&queue);
}
END_TEST

START_TEST(messages_go_through_a_pipe)
{
    mp_connection_t *ours = NULL, *theirs = NULL;
    ProtobufCMessage *message = NULL;
    ck_assert_int_eq(mp_pipe(NULL, &ours, &theirs), MP_OK);
    ck_assert_int_eq(mp_connection_send_message(ours, &problem.base, 0), MP_OK);
    ck_assert_int_eq(mp_connection_recv_message(theirs, &mp__problem__descriptor, &message, 1000),
                     MP_OK);
    check(message);
    mp_connection_destroy(&ours);
    mp_connection_destroy(&theirs);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {messages_go_through_a_queue, messages_go_through_a_pipe, NULL};
    return suite_run_with(NULL, "protobuf", tests, 30);
}
