/* unicode.h: whether bytes are UTF-8. */
#ifndef MPX_UNICODE_H
#define MPX_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of the UTF-8 sequence at s, of which `left`, at least 1, are there, by the table of
 * well-formed ones in The Unicode Standard, 3.9; 0: it is none. */
size_t mpx_unicode_length(const uint8_t *s, size_t left);

bool mpx_unicode_valid(const void *text, size_t size);

#endif
