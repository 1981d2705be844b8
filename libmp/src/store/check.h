/* check.h: whether LMDB may be let loose on a file.
 *
 * LMDB believes what it reads: a page number out of the file is SIGBUS, a wild offset in a page is
 * SIGSEGV. So all that it will ever follow is followed once before: the newer of the two meta
 * pages, every tree, every node, and the list of free pages, of which none may be in a tree. What
 * is in keys and values isn't looked at. Reads the whole file, but for large values.
 *
 * The file's size alone says nothing: pages at its end that a transaction took and gave back
 * are counted, but never written.
 */
#ifndef MPX_STORE_CHECK_H
#define MPX_STORE_CHECK_H

#include <mp/error.h>

/* Nobody may write to the file meanwhile. MP_OK; MP_ECORRUPT with where and why; MP_EVERSION
 * of LMDB's own format; MP_EPERM; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_store_check(const char *path);

#endif
