/* fuzz_traits: what a worker says that it has, a newline, and what a call says that it needs. */
#include "traits.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check(const mpx_traits_t *traits)
{
    require(traits->count <= MPX_TRAITS_MAX);
    for (size_t i = 0; i < traits->count; i++) {
        const mpx_trait_t *trait = &traits->items[i];
        require(*trait->name && memchr(trait->name, 0, sizeof trait->name));
        require(memchr(trait->label, 0, sizeof trait->label) != NULL);
        require(!trait->counted || !*trait->label);
        require(i == 0 || strcmp(traits->items[i - 1].name, trait->name) < 0);
        require(mpx_traits_find(traits, trait->name) == (int)i);
    }
    require(mpx_traits_meet(traits, traits) && mpx_traits_equal(traits, traits));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mpx_traits_t have, needs, nothing;
    char *text = malloc(size + 1);
    require(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    char *second = strchr(text, '\n');
    if (second)
        *second++ = '\0';
    require(mpx_traits_parse(NULL, &nothing) == MP_OK);
    bool has = mpx_traits_parse(text, &have) == MP_OK;
    if (has)
        check(&have);
    if (has && mpx_traits_parse(second, &needs) == MP_OK) {
        check(&needs);
        require(mpx_traits_meet(&have, &nothing));
        if (mpx_traits_equal(&have, &needs))
            require(mpx_traits_meet(&have, &needs));
    }
    free(text);
    return 0;
}
