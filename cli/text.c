#include "text.h"

#include <stdio.h>
#include <string.h>

size_t text_utf8(const unsigned char *s, size_t left)
{
    size_t length = s[0] < 0x80                    ? 1
                    : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
                    : (s[0] & 0xf0) == 0xe0        ? 3
                    : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                   : 0;
    if (length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what is beyond U+10FFFF. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return length;
}

void text_show(const char *bytes, size_t size, char *out, size_t room)
{
    enum { WIDEST = 5, DOTS = 4 };
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        const unsigned char *s = (const unsigned char *)bytes + i;
        size_t length = text_utf8(s, size - i);
        if (n + WIDEST + DOTS > room) {
            memcpy(out + n, "...", DOTS);
            return;
        }
        if (length == 0 || (length == 1 && (*s < 0x20 || *s == 0x7f))) {
            n += (size_t)snprintf(out + n, room - n, "\\x%02x", *s);
            i++;
        } else {
            memcpy(out + n, s, length);
            n += length;
            i += length;
        }
    }
    out[n] = '\0';
}
