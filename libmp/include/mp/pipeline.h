/* pipeline.h: many calls on objects under way at once, or as one.
 *
 *     mp_pipeline_t *pipeline = NULL;
 *     int64_t hits;
 *     mp_pipeline_new(manager, NULL, &pipeline);
 *     mp_object_t *fast = mp_pipeline_object(pipeline, dict);
 *     for (int i = 0; i < 100; i++)
 *         mp_dict_set(fast, MP_K(i), MP_V(i * i), 0);
 *     mp_dict_add(fast, MP_K("hits"), 1, &hits, 0);
 *     rc = mp_pipeline_run(pipeline, 1000);              // one message there, one back
 *
 * Calls on a pipeline's handle are only noted, and return MP_OK or why they can't be noted; their
 * outputs must stay where they are until the run, which fills those of calls that went well. None
 * waits: an acquire, get or put tries once, whatever its timeout. The handle is guarded as the
 * object's was when it was made. Atomic: either all calls are carried out, with nobody else's in
 * between, or, if one fails, none; only changes of what objects hold, and looking, go into that
 * (no locks, no items of queues, nothing that makes or deletes): MP_EINVAL.
 *
 * A pipeline is one thread's at a time.
 */
#ifndef MP_PIPELINE_H
#define MP_PIPELINE_H

#include <mp/manager.h>
#include <mp/object.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_pipeline mp_pipeline_t;

/* All zero is the default. */
typedef struct mp_pipeline_options {
    bool atomic; /* all or nothing */
} mp_pipeline_options_t;

/* MP_OK; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_pipeline_new(mp_manager_t *manager,
                                             const mp_pipeline_options_t *options,
                                             mp_pipeline_t **out);
/* What was noted and not run is forgotten. */
MP_API void mp_pipeline_destroy(mp_pipeline_t **self);

/* The object's handle on this pipeline: the pipeline's, and valid as long as it and `object`
 * are. The same each time. NULL: no memory, or another manager's object. */
MP_API mp_object_t *mp_pipeline_object(mp_pipeline_t *self, mp_object_t *object);

/* Send what was noted, in messages of up to 1 MiB (atomic: in one of up to 64 MiB), and wait for
 * all answers. Then the pipeline is empty.
 * MP_OK all went well; else the code of the first call that failed (of an atomic: of the one that
 * failed), or why there is no answer. */
MP_API mp_rc_t mp_pipeline_run(mp_pipeline_t *self, int timeout_ms);

/* Of the last run: how many calls there were, and what became of each: MP_OK or its code;
 * MP_ECANCELLED it was undone, or not carried out, because another failed. */
MP_API size_t mp_pipeline_len(const mp_pipeline_t *self);
MP_API mp_rc_t mp_pipeline_outcome(const mp_pipeline_t *self, size_t index);

#ifdef __cplusplus
}
#endif

#endif
