/* Dynamic assignment after SimOTA (YOLOX, Ge et al. 2021): a cost of score and overlap orders the candidate cells of a
 * face, and the sum of their overlaps says how many are taken. Candidates are held to the maps whose strides suit the
 * face's size, so that the network's depth and a face's size keep together from the first step on. */
#include "train/face_assign.h"

#include <math.h>

/* Roots of areas in pixels that a map answers for; neighbours overlap. */
static const struct {
    float from, below;
} assign_sizes[FACE_GRIDS] = {{0, 64}, {28, 128}, {64, INFINITY}};

enum { ASSIGN_MOST = 64, ASSIGN_COUNTED = 10 };

static const float ASSIGN_RADIUS = 1.5f; /* strides from the face's centre */
static const float ASSIGN_OVERLAP = 3;   /* weight of the overlap in the cost */
static const float ASSIGN_EXPONENT = 10; /* as network_decode.c */

typedef struct assign_candidate {
    int map, cell, place; /* place: among the cells of all maps */
    float cost, overlap;
    bool taken;
} assign_candidate;

typedef struct assign_list {
    assign_candidate data[ASSIGN_MOST];
    int count;
} assign_list;

void face_grid_centre(const face_grid *map, int cell, float *x, float *y)
{
    *x = ((float)(cell % map->columns) + 0.5f) * (float)map->stride;
    *y = ((float)(cell / map->columns) + 0.5f) * (float)map->stride;
}

static float assign_distance(const face_grid *map, int cell, int channel)
{
    float value = map->values[(ptrdiff_t)channel * map->columns * map->rows + cell];
    return expf(fminf(value, ASSIGN_EXPONENT)) * (float)map->stride;
}

face_edges face_grid_box(const face_grid *map, int cell)
{
    float x, y;
    face_grid_centre(map, cell, &x, &y);
    return (face_edges){x - assign_distance(map, cell, 1), y - assign_distance(map, cell, 2),
                        x + assign_distance(map, cell, 3), y + assign_distance(map, cell, 4)};
}

float face_edges_overlap(const face_edges *a, const face_edges *b)
{
    float width = fminf(a->right, b->right) - fmaxf(a->left, b->left);
    float height = fminf(a->bottom, b->bottom) - fmaxf(a->top, b->top);
    if (width <= 0 || height <= 0)
        return 0;
    float both = width * height;
    return both / ((a->right - a->left) * (a->bottom - a->top) + (b->right - b->left) * (b->bottom - b->top) - both);
}

static void assign_add(assign_list *list, const face_grid *map, int index, int cell, int place, const face_edges *face)
{
    if (list->count == ASSIGN_MOST)
        return;
    face_edges box = face_grid_box(map, cell);
    float overlap = face_edges_overlap(&box, face), logit = map->values[cell];
    /* -log of the probability, kept finite */
    float miss = logit > 0 ? log1pf(expf(-logit)) : log1pf(expf(logit)) - logit;
    list->data[list->count++] = (assign_candidate){.map = index,
                                                   .cell = cell,
                                                   .place = place,
                                                   .cost = miss - ASSIGN_OVERLAP * logf(fmaxf(overlap, 1e-4f)),
                                                   .overlap = overlap};
}

static int assign_clamp(float value, int most)
{
    return value > 0 ? value < (float)most ? (int)value : most : 0;
}

/* Cells of one map near the face's centre and inside the face. */
static void assign_near(assign_list *list, const face_grid *map, int index, int base, const face_edges *face)
{
    float stride = (float)map->stride, reach = ASSIGN_RADIUS * stride;
    float x = (face->left + face->right) / 2, y = (face->top + face->bottom) / 2;
    int first = assign_clamp((x - reach) / stride, map->columns - 1),
        last = assign_clamp((x + reach) / stride, map->columns - 1);
    int top = assign_clamp((y - reach) / stride, map->rows - 1),
        bottom = assign_clamp((y + reach) / stride, map->rows - 1);
    for (int row = top; row <= bottom; row++)
        for (int column = first; column <= last; column++) {
            int cell = row * map->columns + column;
            float cx, cy;
            face_grid_centre(map, cell, &cx, &cy);
            if (fabsf(cx - x) <= reach && fabsf(cy - y) <= reach && cx > face->left && cx < face->right &&
                cy > face->top && cy < face->bottom)
                assign_add(list, map, index, cell, base + cell, face);
        }
}

/* Candidates on all maps that suit the face's size; for one so small that it lies between the centres of cells, the
 * cell that holds its centre. */
static void assign_gather(assign_list *list, const face_grid *maps, const face_edges *face)
{
    float size = sqrtf((face->right - face->left) * (face->bottom - face->top));
    list->count = 0;
    for (int m = 0, base = 0; m < FACE_GRIDS; base += maps[m].columns * maps[m].rows, m++)
        if (size >= assign_sizes[m].from && size < assign_sizes[m].below)
            assign_near(list, &maps[m], m, base, face);
    if (list->count)
        return;
    int column = assign_clamp((face->left + face->right) / 2 / (float)maps->stride, maps->columns - 1);
    int row = assign_clamp((face->top + face->bottom) / 2 / (float)maps->stride, maps->rows - 1);
    int cell = row * maps->columns + column;
    assign_add(list, maps, 0, cell, cell, face);
}

/* The untaken candidate with the largest overlap, or NULL. */
static assign_candidate *assign_largest(assign_list *list)
{
    assign_candidate *best = NULL;
    for (int i = 0; i < list->count; i++)
        if (!list->data[i].taken && (!best || list->data[i].overlap > best->overlap))
            best = &list->data[i];
    return best;
}

static int assign_how_many(assign_list *list)
{
    float sum = 0;
    for (int i = 0; i < ASSIGN_COUNTED; i++) {
        assign_candidate *next = assign_largest(list);
        if (!next)
            break;
        sum += next->overlap;
        next->taken = true;
    }
    for (int i = 0; i < list->count; i++)
        list->data[i].taken = false;
    return sum > 1 ? (int)sum : 1;
}

static void assign_face(assign_list *list, int16_t face, int16_t *owners, float *costs)
{
    for (int left = assign_how_many(list); left > 0; left--) {
        assign_candidate *best = NULL;
        for (int i = 0; i < list->count; i++)
            if (!list->data[i].taken && (!best || list->data[i].cost < best->cost))
                best = &list->data[i];
        if (!best)
            return;
        best->taken = true;
        if (owners[best->place] >= 0 && costs[best->place] <= best->cost)
            continue;
        owners[best->place] = face;
        costs[best->place] = best->cost;
    }
}

/* Every cell whose centre lies in an ignored face. */
static void assign_excuse(const face_grid *maps, const face_target *target, int16_t *owners)
{
    for (int m = 0, base = 0; m < FACE_GRIDS; base += maps[m].columns * maps[m].rows, m++)
        for (int cell = 0; cell < maps[m].columns * maps[m].rows; cell++) {
            float x, y;
            face_grid_centre(&maps[m], cell, &x, &y);
            if (x > target->left && x < target->right && y > target->top && y < target->bottom)
                owners[base + cell] = FACE_EITHER;
        }
}

void face_assign(const face_grid *maps, const face_target *targets, size_t count, int16_t *owners, float *costs)
{
    int cells = 0;
    assign_list list;
    for (int m = 0; m < FACE_GRIDS; m++)
        cells += maps[m].columns * maps[m].rows;
    for (int i = 0; i < cells; i++)
        owners[i] = FACE_NOBODY;
    for (size_t i = 0; i < count; i++)
        if (targets[i].ignored)
            assign_excuse(maps, &targets[i], owners);
    for (size_t i = 0; i < count && i < INT16_MAX; i++) {
        if (targets[i].ignored)
            continue;
        face_edges face = {targets[i].left, targets[i].top, targets[i].right, targets[i].bottom};
        assign_gather(&list, maps, &face);
        assign_face(&list, (int16_t)i, owners, costs);
    }
}
