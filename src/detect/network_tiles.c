/* The one place that decides how closely a face network looks. Time goes with the square of the scale, recall of small
 * faces falls off steeply below the size that the network was trained to see; docs/detector.md has the table that the
 * default was chosen by. Inputs of open size are at most 1024 a side: larger ones fall out of the cache and gain
 * nothing over tiles. */
#include "detect/network_tiles.h"

#include <math.h>

enum {
    TILES_STEP = 32, /* sizes of open inputs are multiples: the coarsest stride */
    TILES_MOST_SIDE = 1024,
    TILES_MOST = 256 /* of one level, about */
};

/* A face of up to this share of a tile's shorter side lies within one tile. */
static const double TILES_OVERLAP = 0.25;
/* … and in pixels of the input: a box that ends nearer to a tile's inner edge may have been cut there. */
static const double TILES_MARGIN = 3;

static int tiles_round_up(double side)
{
    int steps = (int)ceil(side / TILES_STEP);
    return (steps > 1 ? steps : 1) * TILES_STEP;
}

static double tiles_overlap(double tile_width, double tile_height)
{
    return TILES_OVERLAP * fmin(tile_width, tile_height);
}

static int tiles_count(double side, double tile, double overlap)
{
    return side <= tile ? 1 : 1 + (int)ceil((side - tile) / (tile - overlap));
}

static double tiles_first_scale(const network_reach *reach, double width, double height, double fit, double tile_area)
{
    double scale = fmin(reach->least_face / (double)(reach->least_wanted > 1 ? reach->least_wanted : 1), 1);
    if (reach->width && scale < fit)
        scale = fmin(fit, 1);
    while (width * height * scale * scale > tile_area * TILES_MOST)
        scale /= 2;
    return scale;
}

size_t network_levels(const network_reach *reach, size_t picture_width, size_t picture_height,
                      network_level levels[NETWORK_MAX_LEVELS])
{
    double width = (double)picture_width, height = (double)picture_height;
    double most_width = reach->width ? reach->width : TILES_MOST_SIDE;
    double most_height = reach->height ? reach->height : TILES_MOST_SIDE;
    double fit = fmin(most_width / width, most_height / height);
    double scale = tiles_first_scale(reach, width, height, fit, most_width * most_height);
    size_t count = 0;
    for (;; scale = fmax(scale / 2, fit)) {
        network_level *level = &levels[count++];
        *level = (network_level){.scale = scale, .width = reach->width, .height = reach->height};
        if (!reach->width) {
            level->width = tiles_round_up(fmin(width * scale, most_width));
            level->height = tiles_round_up(fmin(height * scale, most_height));
        }
        double tile_width = level->width / scale, tile_height = level->height / scale; /* picture pixels */
        double overlap = tiles_overlap(tile_width, tile_height);
        level->across = tiles_count(width, tile_width, overlap);
        level->down = tiles_count(height, tile_height, overlap);
        if (scale <= fit || count == NETWORK_MAX_LEVELS)
            return count;
    }
}

static double tiles_begin(double side, double tile, int i, int count)
{
    return count > 1 ? floor((side - tile) * i / (count - 1)) : 0;
}

network_view network_tile(const network_level *level, size_t picture_width, size_t picture_height, int index)
{
    double width = (double)picture_width, height = (double)picture_height, scale = level->scale;
    double tile_width = level->width / scale, tile_height = level->height / scale;
    network_view view = {.x = tiles_begin(width, tile_width, index % level->across, level->across),
                         .y = tiles_begin(height, tile_height, index / level->across, level->down)};
    view.width = floor(fmin(tile_width, width - view.x));
    view.height = floor(fmin(tile_height, height - view.y));
    view.seen_width = (size_t)fmin(fmax(rint(view.width * scale), 1), level->width);
    view.seen_height = (size_t)fmin(fmax(rint(view.height * scale), 1), level->height);
    return view;
}

bool network_tile_owns(const network_level *level, const network_view *view, size_t picture_width,
                       size_t picture_height, const network_box *box)
{
    if (level->across * level->down == 1)
        return true;
    double margin = TILES_MARGIN / level->scale,
           longer = fmax((double)box->right - (double)box->left, (double)box->bottom - (double)box->top);
    if (longer > tiles_overlap(view->width, view->height))
        return false;
    return (view->x <= 0 || (double)box->left >= view->x + margin) &&
           (view->y <= 0 || (double)box->top >= view->y + margin) &&
           (view->x + view->width >= (double)picture_width || (double)box->right <= view->x + view->width - margin) &&
           (view->y + view->height >= (double)picture_height || (double)box->bottom <= view->y + view->height - margin);
}
