/* check.c: the file format of LMDB 0.9 (mdb.c: MDB_page, MDB_node, MDB_db, MDB_meta). */
#include "check.h"

#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct tree {
    uint32_t page_size; /* in the first tree of a meta page only */
    uint16_t flags;
    uint16_t depth;
    size_t branches, leaves, overflows; /* pages */
    size_t entries;
    size_t root;
} tree_t;

typedef struct meta {
    uint32_t magic;
    uint32_t version;
    void *address;
    size_t map_size;
    tree_t trees[2]; /* free pages, main */
    size_t last_page;
    size_t transaction;
} meta_t;

typedef struct head {
    size_t number;
    uint16_t pad;
    uint16_t flags;
    uint16_t lower, upper; /* of an overflow: uint32_t, how many pages */
} head_t;

typedef struct node {
    uint16_t low, high; /* a leaf's size of data; with flags a branch's page */
    uint16_t flags;
    uint16_t key_size;
} node_t;

enum { MAGIC = 0xBEEFC0DE, VERSION = 1 };
enum { BRANCH = 0x01, LEAF = 0x02, OVERFLOW = 0x04, META = 0x08, KIND = 0x6f };
enum { BIG = 0x01, SUBTREE = 0x02 };
/* In the free tree LMDB keeps flags of its own use among them. */
enum { INTEGER_KEYS = 0x08, TREE_FLAGS = 0x7e };
enum { DEPTH_MAX = 32, KEY_MAX = 511, PAGE_MAX = 0x8000 };
/* How many pages at the end may never have been written; a transaction has no more. */
enum { UNWRITTEN_MAX = 1 << 20 };

typedef enum kind { KIND_FREE, KIND_MAIN, KIND_SUB } kind_t;

typedef struct check {
    const unsigned char *map;
    size_t size;
    size_t page_size;
    size_t pages;        /* whole ones in the file */
    size_t last_page;    /* that the meta page knows */
    unsigned char *seen; /* a bit for each page */
    size_t where;        /* the page that is damaged, and how */
    const char *why;
} check_t;

static bool bad(check_t *self, size_t where, const char *why)
{
    self->where = where;
    self->why = why;
    return false;
}

/* Pages belong to one thing each, which also ends every walk in circles. */
static bool take(check_t *self, size_t number, size_t count)
{
    if (number < 2 || number >= self->pages || count > self->pages - number)
        return bad(self, number, "is not in the file");
    for (size_t page = number; page < number + count; page++) {
        if (self->seen[page / 8] & 1 << page % 8)
            return bad(self, page, "is used twice");
        self->seen[page / 8] |= (unsigned char)(1 << page % 8);
    }
    return true;
}

static head_t head_of(const check_t *self, size_t number)
{
    head_t head;
    memcpy(&head, self->map + number * self->page_size, sizeof head);
    return head;
}

/* A value that has pages of its own. */
static bool check_big(check_t *self, size_t number, size_t size, tree_t *counted)
{
    size_t count = (sizeof(head_t) - 1 + size) / self->page_size + 1;
    if (!take(self, number, count))
        return false;
    head_t head = head_of(self, number);
    uint32_t claimed = 0;
    memcpy(&claimed, &head.lower, sizeof claimed);
    if (head.number != number || (head.flags & KIND) != OVERFLOW || claimed != count)
        return bad(self, number, "is no page of a large value");
    counted->overflows += count;
    return true;
}

/* A count and so many page numbers, from high to low. They may be beyond the end of the file. */
static bool check_free(check_t *self, size_t where, const unsigned char *list, size_t size)
{
    size_t count = 0;
    size_t before = SIZE_MAX;
    memcpy(&count, list, size < sizeof count ? size : sizeof count);
    if (size % sizeof count || count >= size / sizeof count)
        return bad(self, where, "has a wrong list of free pages");
    for (size_t i = 1; i <= count; i++) {
        size_t number = 0;
        memcpy(&number, list + i * sizeof number, sizeof number);
        if (number >= before || number < 2 || number > self->last_page)
            return bad(self, where, "lists a free page that can't be");
        if (number < self->pages && !take(self, number, 1))
            return false;
        before = number;
    }
    return true;
}

static bool check_tree(check_t *self, const tree_t *tree, kind_t kind);

static bool check_leaf_node(check_t *self, size_t where, const node_t *node,
                            const unsigned char *data, size_t room, kind_t kind, tree_t *counted)
{
    size_t size = node->low | (size_t)node->high << 16;
    size_t number = 0;
    tree_t tree;
    bool big = node->flags & BIG;
    counted->entries++;
    if (!node->key_size || node->flags & ~(BIG | (kind == KIND_MAIN ? SUBTREE : 0)))
        return bad(self, where, "has a record of no known sort");
    if ((big ? sizeof number : size) > room)
        return bad(self, where, "has a record that doesn't fit into it");
    if (big) {
        memcpy(&number, data, sizeof number);
        if (!check_big(self, number, size, counted))
            return false;
        data = self->map + number * self->page_size + sizeof(head_t);
    }
    if (kind == KIND_FREE)
        return check_free(self, where, data, size);
    if (!(node->flags & SUBTREE))
        return true;
    if (big || size != sizeof tree)
        return bad(self, where, "has a tree's record of a wrong size");
    memcpy(&tree, data, sizeof tree);
    return check_tree(self, &tree, KIND_SUB);
}

static bool check_page(check_t *self, size_t number, unsigned levels, kind_t kind, tree_t *counted);

static bool check_node(check_t *self, size_t where, size_t i, unsigned levels, kind_t kind,
                       tree_t *counted)
{
    const unsigned char *page = self->map + where * self->page_size;
    uint16_t at = 0;
    node_t node;
    memcpy(&at, page + sizeof(head_t) + i * sizeof at, sizeof at);
    memcpy(&node, page + at, sizeof node);
    size_t room = self->page_size - sizeof node - at;
    bool unkeyed = levels > 1 && i == 0; /* all before the second key */
    if (node.key_size > KEY_MAX || node.key_size > room ||
        (kind == KIND_FREE && !unkeyed && node.key_size != sizeof(size_t)))
        return bad(self, where, "has a key of a wrong size");
    if (levels == 1)
        return check_leaf_node(self, where, &node, page + at + sizeof node + node.key_size,
                               room - node.key_size, kind, counted);
    size_t child = node.low | (size_t)node.high << 16 | (size_t)((uint64_t)node.flags << 32);
    return check_page(self, child, levels - 1, kind, counted);
}

/* LMDB packs records without gaps from `upper` on, and moves them by what that says. */
static bool check_packing(check_t *self, size_t where, size_t count, bool leaf)
{
    const unsigned char *page = self->map + where * self->page_size;
    unsigned char taken[PAGE_MAX / 16] = {0}; /* a bit for two bytes */
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t at = 0;
        node_t node;
        memcpy(&at, page + sizeof(head_t) + i * sizeof at, sizeof at);
        if (at % 2 || at < head_of(self, where).upper || at > self->page_size - sizeof node)
            return bad(self, where, "has a record that is nowhere");
        memcpy(&node, page + at, sizeof node);
        size_t data = node.flags & BIG ? sizeof(size_t) : node.low | (size_t)node.high << 16;
        size_t size = sizeof node + node.key_size + (leaf ? data : 0);
        if (size > self->page_size - at)
            return bad(self, where, "has a record that doesn't fit into it");
        size += size % 2;
        sum += size;
        for (size_t unit = at / 2U; unit < (at + size) / 2; unit++) {
            if (taken[unit / 8] & 1 << unit % 8)
                return bad(self, where, "has records in each other");
            taken[unit / 8] |= (unsigned char)(1 << unit % 8);
        }
    }
    return sum == self->page_size - head_of(self, where).upper ||
           bad(self, where, "has records that don't fill it");
}

/* levels  that are left: 1 is a leaf */
static bool check_page(check_t *self, size_t number, unsigned levels, kind_t kind, tree_t *counted)
{
    if (!take(self, number, 1))
        return false;
    head_t head = head_of(self, number);
    size_t count = (head.lower - sizeof head) / sizeof(uint16_t);
    if (head.number != number || (head.flags & KIND) != (levels > 1 ? BRANCH : LEAF))
        return bad(self, number, "is not the page that it should be");
    if (head.lower < sizeof head || head.lower > head.upper || head.upper > self->page_size)
        return bad(self, number, "has wrong bounds");
    if (count < (levels > 1 && kind != KIND_FREE ? 2 : 1))
        return bad(self, number, "has too few records");
    if (!check_packing(self, number, count, levels == 1))
        return false;
    *(levels > 1 ? &counted->branches : &counted->leaves) += 1;
    for (size_t i = 0; i < count; i++)
        if (!check_node(self, number, i, levels, kind, counted))
            return false;
    return true;
}

static bool check_tree(check_t *self, const tree_t *tree, kind_t kind)
{
    tree_t counted = {0};
    if ((tree->flags & TREE_FLAGS) != (kind == KIND_FREE ? INTEGER_KEYS : 0) ||
        tree->depth > DEPTH_MAX || (tree->root == SIZE_MAX) != (tree->depth == 0))
        return bad(self, tree->root, "is the root of no tree of a store");
    if (tree->depth && !check_page(self, tree->root, tree->depth, kind, &counted))
        return false;
    if (counted.branches != tree->branches || counted.leaves != tree->leaves ||
        counted.overflows != tree->overflows || counted.entries != tree->entries)
        return bad(self, tree->root, "is the root of a tree with other counts");
    return true;
}

/* Both must be whole, though only the newer one counts: LMDB insists. */
static mp_rc_t read_meta(check_t *self, meta_t *out)
{
    meta_t metas[2];
    for (size_t i = 0; i < 2; i++) {
        head_t head = {0};
        size_t at = i * self->page_size;
        if (self->size < at + sizeof head + sizeof *metas)
            return bad(self, i, "is missing"), MP_ECORRUPT;
        memcpy(&head, self->map + at, sizeof head);
        memcpy(&metas[i], self->map + at + sizeof head, sizeof *metas);
        if (head.flags != META || metas[i].magic != MAGIC)
            return bad(self, i, "is no meta page"), MP_ECORRUPT;
        if (metas[i].version != VERSION)
            return bad(self, i, "was written by another version of LMDB"), MP_EVERSION;
        if (!self->page_size)
            self->page_size = metas[i].trees[0].page_size;
        if (self->page_size < 512 || self->page_size > PAGE_MAX ||
            self->page_size & (self->page_size - 1))
            return bad(self, i, "has a wrong page size"), MP_ECORRUPT;
    }
    *out = metas[metas[0].transaction < metas[1].transaction];
    self->pages = self->size / self->page_size;
    self->last_page = out->last_page;
    if (out->trees[0].page_size != self->page_size || out->last_page < 1 ||
        out->last_page > self->pages + UNWRITTEN_MAX)
        return bad(self, metas[0].transaction < metas[1].transaction, "counts wrongly"),
               MP_ECORRUPT;
    return MP_OK;
}

static mp_rc_t check_map(check_t *self)
{
    meta_t meta;
    mp_rc_t rc = read_meta(self, &meta);
    if (rc != MP_OK)
        return rc;
    self->seen = calloc(self->pages / 8 + 1, 1);
    if (!self->seen)
        return MP_ENOMEM;
    if (!check_tree(self, &meta.trees[0], KIND_FREE) ||
        !check_tree(self, &meta.trees[1], KIND_MAIN))
        rc = MP_ECORRUPT;
    free(self->seen);
    return rc;
}

mp_rc_t mpx_store_check(const char *path)
{
    struct stat status = {0};
    check_t self = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return mpx_fault(MP_EPERM, "%s: can't be read", path);
    if (fd < 0 || fstat(fd, &status) != 0) {
        mp_rc_t rc = mpx_fault_errno("%s", path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
        close(fd);
        return mpx_fault(MP_ECORRUPT, "%s: no file of a store", path);
    }
    self.size = (size_t)status.st_size;
    self.map = mmap(NULL, self.size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (self.map == MAP_FAILED)
        return mpx_fault_errno("%s: %zu bytes can't be mapped", path, self.size);
    mp_rc_t rc = check_map(&self);
    munmap((void *)(uintptr_t)self.map, self.size);
    if (rc == MP_ENOMEM)
        return mpx_fault(rc, "%s: out of memory", path);
    return rc == MP_OK ? rc : mpx_fault(rc, "%s: page %zu %s", path, self.where, self.why);
}
