/* tree.h: a node, as the files of this layer see it. */
#ifndef MPX_TREE_H
#define MPX_TREE_H

#include <mp/tree.h>

enum { MPX_TREE_DEPTH_MAX = 256 };

/* An item of a list, or a value of a dict with its key. */
typedef struct mpx_tree_slot {
    char *key; /* NULL in a list */
    size_t key_size;
    mp_tree_t *node;
} mpx_tree_slot_t;

struct mp_tree {
    mp_tree_type_t type;
    union {
        bool truth;
        int64_t integer;
        double real;
        struct {
            char *data; /* with a NUL behind it */
            size_t size;
        } bytes;
        struct {
            mpx_tree_slot_t *slots;
            size_t count;
            size_t room;
            uint32_t *index; /* of a large dict: slots + 1 by hash of their keys; 0: empty */
            size_t index_room;
        } many;
        mp_ref_t ref;
    } as;
};

mp_tree_t *mpx_tree_new(mp_tree_type_t type);
/* Bytes that are known to be right, copied. */
mp_tree_t *mpx_tree_text(mp_tree_type_t type, const char *data, size_t size);
/* As mp_tree_set, with a key of any length that is known to be UTF-8 without NUL. */
mp_rc_t mpx_tree_set_n(mp_tree_t *self, const char *key, size_t size, mp_tree_t *value);

#endif
