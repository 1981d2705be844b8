/* export.h: the attributes that the public headers need. */
#ifndef MP_EXPORT_H
#define MP_EXPORT_H

#if !defined(__GNUC__)
#error "libmp needs gcc or clang"
#endif

#define MP_API              __attribute__((visibility("default")))
#define MP_MUST_CHECK       __attribute__((warn_unused_result))
#define MP_UNUSED           __attribute__((unused))
#define MP_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))

#endif
