/* goods.c: what workers have and calls need. Counted here by itself, so that a mistake of the
 * product's (core/traits.c, core/need.c) isn't made twice. */
#include "world.h"

/* The first worker has the last one; the one before it nobody has all of. */
static const struct {
    goods_t goods;
    const char *text;
} all[GOODS] = {
    {{0, 0, 0}, ""},
    {{1, 0, 0}, "gpu=1"},
    {{0, 2, 0}, "memory=2"},
    {{0, 0, 'a'}, "zone=a"},
    {{1, 3, 'b'}, "gpu=1, memory=3, zone=b"},
    {{2, 0, 'a'}, "zone=a,gpu=2"},
    {{0, 0, 'c'}, "zone=c"},
    {{2, 4, 'a'}, "gpu=2,memory=4,zone=a"},
};

goods_t goods_of(unsigned number)
{
    return all[number].goods;
}

const char *goods_text(unsigned number)
{
    return all[number].text;
}

bool goods_meet(goods_t have, goods_t needs)
{
    return needs.gpu <= have.gpu && needs.memory <= have.memory &&
           (!needs.zone || needs.zone == have.zone);
}

bool goods_are_somewhere(unsigned needs, unsigned task)
{
    for (unsigned i = 0; i < world->procs_count; i++) {
        const proc_t *proc = &world->procs[i];
        if (proc->role == WORKER && (proc->tasks >> task & 1) &&
            goods_meet(goods_of(proc->goods), goods_of(needs)))
            return true;
    }
    return false;
}
