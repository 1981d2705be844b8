/* utf8.h: the strings of a packed body, looked at where they lie. Private to wire.
 *
 * protobuf-c hands out C strings: one that contains a NUL would silently be another string,
 * and neither length nor encoding is checked. So a body's strings are checked before it is
 * unpacked, and made fit to be shown after it is packed: readers in other languages refuse
 * a body that holds anything else than UTF-8.
 */
#ifndef MPX_UTF8_H
#define MPX_UTF8_H

#include <mp/task.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

/* Whether it is protobuf, no string in it is longer than MPX_STRING_MAX or contains a NUL,
 * and its repeated fields have no more than MPX_TASKS_MAX values together. */
bool mpx_utf8_check(const ProtobufCMessageDescriptor *type, mp_bytes_t body);

/* Launder every string of a packed body that passes the check. */
void mpx_utf8_launder_all(const ProtobufCMessageDescriptor *type, uint8_t *body, size_t size);

/* Replace, in place, each byte of what is not UTF-8 or not printable (C0, DEL, C1) by '?'. */
void mpx_utf8_launder(uint8_t *text, size_t size);
/* The same for text of several lines: newlines and tabs stay. */
void mpx_utf8_launder_lines(uint8_t *text, size_t size);

#endif
