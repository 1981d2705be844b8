/* text.h: bytes of any kind, made fit to be shown. */
#ifndef MP_CLI_TEXT_H
#define MP_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Copy for people: control characters and what isn't UTF-8 become \xNN, and what is longer
 * than the room ends in "...". Always ends with NUL. */
void text_show(const char *bytes, size_t size, char *out, size_t room);

/* The length of the UTF-8 sequence at the start of `left` bytes; 0: it is none. */
size_t text_utf8(const unsigned char *s, size_t left);

#endif
