/* fuzz_wire: one message of a stranger's. What decodes must survive another round. */
#include "job_body.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool are_same(const mpx_buf_t *a, const mpx_buf_t *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void take_payload(const mpx_header_t *header, mp_bytes_t payload)
{
    mp_bytes_t item;
    mpx_record_t record;
    mp_bytes_t rest = payload;
    uint32_t count = 0;
    mp_rc_t rc;
    while ((rc = mpx_item_next(&rest, header->item_bytes, &item)) == MP_OK)
        count++;
    require(mpx_items_valid(payload, header->item_bytes, count) == (rc == MP_EOF));
    rest = payload;
    count = 0;
    mpx_buf_t again = {0};
    while ((rc = mpx_record_next(&rest, &record)) == MP_OK) {
        require(mpx_record_add(&again, &record) == MP_OK);
        count++;
    }
    require(rc != MP_EOF || again.size == payload.size);
    require(mpx_records_valid(mpx_buf_bytes(&again), count));
    mpx_buf_free(&again);
    char host[MPX_HOST_MAX];
    mpx_ship_t ship;
    if (mpx_output_unpack(payload, host, &item) == MP_OK)
        require(item.size <= MPX_OUTPUT_MAX);
    if (mpx_ship_unpack(payload, &ship) == MP_OK)
        require(memchr(ship.name, '\0', sizeof ship.name) != NULL);
    uint32_t kind = 0;
    rest = payload;
    while ((rc = mpx_parcel_next(&rest, &kind, &item)) == MP_OK)
        require(kind <= 2 && item.size <= MPX_PARCEL_MAX);
}

/* What was understood is packed, understood again and packed again: the same bytes. */
#define ROUND_TRIP(type)                                                                           \
    do {                                                                                           \
        mpx_##type##_t first, second;                                                              \
        void *arena = NULL, *other = NULL;                                                         \
        mpx_buf_t buf = {0}, again = {0};                                                          \
        if (mpx_##type##_unpack(payload, &first, &arena) == MP_OK) {                               \
            mp_rc_t rc = mpx_##type##_pack(&first, &buf);                                          \
            require(rc == MP_OK || rc == MP_ETOOLARGE);                                            \
            if (rc == MP_OK) {                                                                     \
                require(mpx_##type##_unpack(mpx_buf_bytes(&buf), &second, &other) == MP_OK);       \
                require(mpx_##type##_pack(&second, &again) == MP_OK);                              \
                require(are_same(&buf, &again));                                                   \
            }                                                                                      \
        }                                                                                          \
        mpx_buf_free(&buf);                                                                        \
        mpx_buf_free(&again);                                                                      \
        free(arena);                                                                               \
        free(other);                                                                               \
    } while (0)

static void take_bodies(mp_bytes_t payload)
{
    ROUND_TRIP(hello);
    ROUND_TRIP(welcome);
    ROUND_TRIP(problem);
    ROUND_TRIP(open);
    ROUND_TRIP(failure);
    ROUND_TRIP(status);
    ROUND_TRIP(knock);
    ROUND_TRIP(challenge);
    ROUND_TRIP(proof);
    ROUND_TRIP(admit);
    ROUND_TRIP(queue_stat);
    ROUND_TRIP(executor_stat);
    ROUND_TRIP(progress);
    ROUND_TRIP(keep);
    ROUND_TRIP(kept_info);
    ROUND_TRIP(dead_order);
    ROUND_TRIP(dead_letter);
}

/* The same header in the same bytes, whatever unknown fields there were. */
static void take_head(const mpx_header_t *header, bool apart)
{
    mpx_header_t back;
    mp_bytes_t nothing;
    bool still_apart = !apart;
    uint8_t head[MPX_HEAD_MAX], again[MPX_HEAD_MAX];
    size_t size = mpx_head_pack(header, apart, head);
    require(mpx_head_unpack((mp_bytes_t){head, size}, &back, &nothing, &still_apart) == MP_OK);
    require(still_apart == apart && nothing.size == 0);
    require(mpx_head_pack(&back, apart, again) == size && memcmp(head, again, size) == 0);
    require(back.first <= UINT64_MAX - back.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mpx_header_t header;
    mp_bytes_t payload;
    bool apart = false;
    if (mpx_head_unpack((mp_bytes_t){data, size}, &header, &payload, &apart) != MP_OK)
        return 0;
    take_head(&header, apart);
    take_payload(&header, payload);
    take_bodies(payload);
    return 0;
}
