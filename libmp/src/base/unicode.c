#include "unicode.h"

size_t mpx_unicode_length(const uint8_t *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    uint8_t low = 0x80, high = 0xbf;
    size_t length = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                    : (s[0] & 0xf0) == 0xe0        ? 3
                    : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                   : 0;
    if (length > left)
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < length; i++) {
        if (s[i] < low || s[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

bool mpx_unicode_valid(const void *text, size_t size)
{
    const uint8_t *s = text;
    for (size_t i = 0; i < size;) {
        size_t length = mpx_unicode_length(s + i, size - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}
