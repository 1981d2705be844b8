/* fuzz_tree: a stranger's value tree. What decodes must survive another round, as bytes and as
 * JSON; the same bytes as JSON must get an answer too. */
#include <mp/tree.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void round_trip(const mp_tree_t *tree)
{
    void *bytes = NULL;
    size_t size = 0;
    mp_tree_t *again = NULL;
    require(mp_tree_encode(tree, NULL, &bytes, &size) == MP_OK);
    require(mp_tree_decode(bytes, size, NULL, &again) == MP_OK);
    require(mp_tree_equal(tree, again));
    free(bytes);
    mp_tree_destroy(&again);
}

/* A dict that looks like one of JSON's stand-ins comes back as what it stands for; so it is
 * only the second text that must be as the first. */
static void json_round_trip(const mp_tree_t *tree)
{
    char *first = NULL;
    mp_tree_t *again = NULL;
    require(mp_tree_to_json(tree, 0, &first) == MP_OK);
    if (mp_tree_from_json(first, strlen(first), NULL, &again) == MP_OK) {
        char *second = NULL;
        require(mp_tree_to_json(again, 0, &second) == MP_OK);
        require(strcmp(first, second) == 0);
        free(second);
        mp_tree_destroy(&again);
    }
    free(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mp_tree_t *tree = NULL;
    mp_tree_t *copy = NULL;
    if (mp_tree_decode(data, size, NULL, &tree) == MP_OK) {
        round_trip(tree);
        json_round_trip(tree);
        copy = mp_tree_copy(tree);
        require(mp_tree_equal(tree, copy));
        mp_tree_destroy(&copy);
        mp_tree_destroy(&tree);
    }
    if (mp_tree_from_json((const char *)data, size, NULL, &tree) == MP_OK) {
        (void)mp_tree_len(tree);
        mp_tree_destroy(&tree);
    }
    return 0;
}
