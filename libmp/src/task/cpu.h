/* cpu.h: the processors that a process may use. */
#ifndef MPX_CPU_H
#define MPX_CPU_H

/* The quota that the cgroups named in `membership` (the text of /proc/self/cgroup) set
 * below `root` (/sys/fs/cgroup), in whole processors rounded up; 0: none. Versions 1 and 2,
 * all ancestors. */
int mpx_cpu_quota(const char *root, const char *membership);

#endif
