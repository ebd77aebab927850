/* Equivalence classes by a forest of parents with path halving, merging smaller trees into larger ones (Tarjan 1975).
 * Windows are visited by rising x, so that each is compared only with those whose left edges can be near enough; the
 * classes do not depend on the order, and they are numbered by their first member in the caller's order. */
#include "detect/group.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

typedef struct group_item {
    mien_rect rect;
    uint32_t index;  /* in the caller's order */
    uint32_t parent; /* position of another item, or its own */
    uint32_t size;
} group_item;

typedef struct group_class {
    mien_rect sum; /* then the mean */
    int32_t count;
} group_class;

static uint32_t group_root(group_item *items, uint32_t at)
{
    while (items[at].parent != at)
        at = items[at].parent = items[items[at].parent].parent;
    return at;
}

static void group_join(group_item *items, uint32_t a, uint32_t b)
{
    a = group_root(items, a);
    b = group_root(items, b);
    if (a == b)
        return;
    if (items[a].size < items[b].size) {
        uint32_t swap = a;
        a = b;
        b = swap;
    }
    items[b].parent = a;
    items[a].size += items[b].size;
}

static bool group_similar(const mien_rect *a, const mien_rect *b, double eps)
{
    double width = a->width < b->width ? a->width : b->width, height = a->height < b->height ? a->height : b->height;
    double delta = eps * (width + height) * 0.5;
    return abs(a->x - b->x) <= delta && abs(a->y - b->y) <= delta && abs(a->x + a->width - b->x - b->width) <= delta &&
           abs(a->y + a->height - b->y - b->height) <= delta;
}

static int group_by_x(const void *a, const void *b)
{
    const group_item *first = a, *second = b;
    if (first->rect.x != second->rect.x)
        return first->rect.x < second->rect.x ? -1 : 1;
    return first->index < second->index ? -1 : 1;
}

static void group_connect(group_item *items, uint32_t count, double eps)
{
    for (uint32_t i = 0; i < count; i++) {
        double reach = eps * ((double)items[i].rect.width + items[i].rect.height) * 0.5;
        for (uint32_t j = i + 1; j < count && items[j].rect.x - items[i].rect.x <= reach; j++)
            if (group_similar(&items[i].rect, &items[j].rect, eps))
                group_join(items, i, j);
    }
}

/* Sums per class, classes numbered by their first member in the caller's order: rank[index] is the item's position. */
static uint32_t group_sum(group_item *items, uint32_t count, uint32_t *rank, uint32_t *number, group_class *classes)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        rank[items[i].index] = i;
        number[i] = UINT32_MAX;
    }
    for (uint32_t i = 0; i < count; i++) {
        const mien_rect *rect = &items[rank[i]].rect;
        uint32_t root = group_root(items, rank[i]);
        if (number[root] == UINT32_MAX) {
            number[root] = found;
            classes[found++] = (group_class){.count = 0};
        }
        group_class *class = classes + number[root];
        class->sum.x += rect->x;
        class->sum.y += rect->y;
        class->sum.width += rect->width;
        class->sum.height += rect->height;
        class->count++;
    }
    for (uint32_t i = 0; i < found; i++) {
        float share = 1.0f / (float)classes[i].count;
        mien_rect *r = &classes[i].sum;
        *r = (mien_rect){(int32_t)lrintf((float)r->x * share), (int32_t)lrintf((float)r->y * share),
                         (int32_t)lrintf((float)r->width * share), (int32_t)lrintf((float)r->height * share)};
    }
    return found;
}

/* Does `inner` lie inside `outer` (with some room), and is outer the better supported one? */
static bool group_inside(const group_class *inner, const group_class *outer, double eps)
{
    const mien_rect *a = &inner->sum, *b = &outer->sum;
    int32_t dx = (int32_t)lrint(b->width * eps), dy = (int32_t)lrint(b->height * eps);
    int32_t needed = inner->count > 3 ? inner->count : 3;
    return a->x >= b->x - dx && a->y >= b->y - dy && a->x + a->width <= b->x + b->width + dx &&
           a->y + a->height <= b->y + b->height + dy && (outer->count > needed || inner->count < 3);
}

static mien_status group_report(const group_class *classes, uint32_t count, int threshold, double eps,
                                detect_faces *faces, mien_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        bool dropped = classes[i].count <= threshold;
        for (uint32_t j = 0; j < count && !dropped; j++)
            dropped = j != i && classes[j].count > threshold && group_inside(classes + i, classes + j, eps);
        if (dropped)
            continue;
        const detect_face face = {classes[i].sum, (float)classes[i].count};
        mien_status status = detect_faces_add(faces, &face, error);
        if (status)
            return status;
    }
    return MIEN_OK;
}

static mien_status group_report_all(const mien_rect *rects, size_t count, detect_faces *faces, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < count && !status; i++) {
        const detect_face face = {rects[i], 1};
        status = detect_faces_add(faces, &face, error);
    }
    return status;
}

mien_status group_rects(const mien_rect *rects, size_t count, int threshold, double eps, buffer *scratch,
                        detect_faces *faces, mien_error *error)
{
    if (threshold <= 0 || !count)
        return group_report_all(rects, count, faces, error);
    if (count >= UINT32_MAX)
        return error_set(error, MIEN_ELIMIT, "detect: %zu windows are too many", count);
    size_t each = sizeof(group_item) + sizeof(group_class) + 2 * sizeof(uint32_t);
    buffer_clear(scratch);
    if (buffer_reserve(scratch, count * each))
        return buffer_status(scratch, error);
    group_item *items = (group_item *)scratch->data;
    group_class *classes = (group_class *)(items + count);
    uint32_t *rank = (uint32_t *)(classes + count), *number = rank + count;
    for (size_t i = 0; i < count; i++)
        items[i] = (group_item){.rect = rects[i], .index = (uint32_t)i, .size = 1};
    qsort(items, count, sizeof *items, group_by_x);
    for (uint32_t i = 0; i < count; i++)
        items[i].parent = i;
    group_connect(items, (uint32_t)count, eps);
    uint32_t found = group_sum(items, (uint32_t)count, rank, number, classes);
    return group_report(classes, found, threshold, eps, faces, error);
}
