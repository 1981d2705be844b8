/* mp.h: all of libmp. Each part can also be included on its own. */
#ifndef MP_H
#define MP_H

#include <mp/alloc.h>
#include <mp/broker.h>
#include <mp/connection.h>
#include <mp/dead.h>
#include <mp/dict.h>
#include <mp/error.h>
#include <mp/imap.h>
#include <mp/item.h>
#include <mp/job.h>
#include <mp/kept.h>
#include <mp/key.h>
#include <mp/list.h>
#include <mp/log.h>
#include <mp/managed.h>
#include <mp/manager.h>
#include <mp/object.h>
#include <mp/parallel.h>
#include <mp/pipeline.h>
#include <mp/pool.h>
#include <mp/process.h>
#include <mp/progress.h>
#include <mp/queue.h>
#include <mp/ref.h>
#include <mp/result.h>
#include <mp/scope.h>
#include <mp/set.h>
#include <mp/shared_memory.h>
#include <mp/stat.h>
#include <mp/sync.h>
#include <mp/task.h>
#include <mp/tree.h>
#include <mp/type.h>
#include <mp/value.h>
#include <mp/version.h>
#include <mp/wait.h>
#include <mp/worker.h>

#endif
