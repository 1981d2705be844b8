/* protobuf.h: protobuf-c messages as items of queues and connections.
 *
 *     Point point = POINT__INIT;
 *     mp_queue_put_message(queue, &point.base, -1);
 *
 *     ProtobufCMessage *message = NULL;
 *     if (mp_queue_get_message(queue, &point__descriptor, &message, -1) == MP_OK) {
 *         use((Point *)message);
 *         protobuf_c_message_free_unpacked(message, NULL);
 *     }
 *
 * Not part of mp.h: include it where libprotobuf-c is at hand, and link that. protobuf-c has no
 * limit for messages within messages: take them only from peers that you trust, or keep your
 * types flat.
 */
#ifndef MP_PROTOBUF_H
#define MP_PROTOBUF_H

#include <mp/connection.h>
#include <mp/queue.h>
#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The packed bytes, to be freed; NULL: no memory. */
MP_UNUSED static inline void *mp_message_pack(const ProtobufCMessage *message, size_t *size)
{
    *size = protobuf_c_message_get_packed_size(message);
    void *data = malloc(*size ? *size : 1);
    if (data)
        protobuf_c_message_pack(message, (uint8_t *)data);
    return data;
}

/* MP_OK; MP_EINVAL the item is of another kind; MP_EPROTO no such message, or no memory for it. */
MP_UNUSED static inline mp_rc_t mp_item_message(const mp_item_t *item,
                                                const ProtobufCMessageDescriptor *type,
                                                ProtobufCMessage **out)
{
    if (item->kind != MP_ITEM_MESSAGE)
        return MP_EINVAL;
    ProtobufCMessage *message =
        protobuf_c_message_unpack(type, NULL, item->size, (const uint8_t *)item->data);
    if (!message)
        return MP_EPROTO;
    *out = message;
    return MP_OK;
}

/* The codes of mp_queue_put. */
MP_UNUSED static inline mp_rc_t
mp_queue_put_message(mp_queue_t *queue, const ProtobufCMessage *message, int timeout_ms)
{
    size_t size = 0;
    void *data = mp_message_pack(message, &size);
    mp_rc_t rc =
        data ? mp_queue_put_item(queue, MP_ITEM_MESSAGE, data, size, timeout_ms) : MP_ENOMEM;
    free(data);
    return rc;
}

/* The codes of mp_queue_get_item and of mp_item_message; the item is gone also with the latter. */
MP_UNUSED static inline mp_rc_t mp_queue_get_message(mp_queue_t *queue,
                                                     const ProtobufCMessageDescriptor *type,
                                                     ProtobufCMessage **out, int timeout_ms)
{
    mp_item_t item = {MP_ITEM_BYTES, NULL, 0, false};
    mp_rc_t rc = mp_queue_get_item(queue, &item, timeout_ms);
    if (rc == MP_OK)
        rc = mp_item_message(&item, type, out);
    mp_item_clear(&item);
    return rc;
}

/* The codes of mp_connection_send_bytes. */
MP_UNUSED static inline mp_rc_t mp_connection_send_message(mp_connection_t *connection,
                                                           const ProtobufCMessage *message,
                                                           int timeout_ms)
{
    size_t size = 0;
    void *data = mp_message_pack(message, &size);
    mp_rc_t rc = data ? mp_connection_send_item(connection, MP_ITEM_MESSAGE, data, size, timeout_ms)
                      : MP_ENOMEM;
    free(data);
    return rc;
}

/* As mp_queue_get_message. */
MP_UNUSED static inline mp_rc_t mp_connection_recv_message(mp_connection_t *connection,
                                                           const ProtobufCMessageDescriptor *type,
                                                           ProtobufCMessage **out, int timeout_ms)
{
    mp_item_t item = {MP_ITEM_BYTES, NULL, 0, false};
    mp_rc_t rc = mp_connection_recv_item(connection, 0, &item, timeout_ms);
    if (rc == MP_OK)
        rc = mp_item_message(&item, type, out);
    mp_item_clear(&item);
    return rc;
}

#ifdef __cplusplus
}
#endif

#endif
