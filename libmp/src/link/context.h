/* context.h: libzmq's context of this process, shared by the links that bring none. */
#ifndef MPX_CONTEXT_H
#define MPX_CONTEXT_H

/* The context, made with its first user; NULL: errno. In a forked child a new one: the
 * parent's must not be touched there. */
void *mpx_context_get(void);
/* One user less; the last one ends it, which waits for its sockets' linger at most. */
void mpx_context_release(void);

#endif
