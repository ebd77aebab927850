/* Illumination correction. What a camera sees is light times reflectance, and light changes slowly over a face (Land &
 * McCann's retinex, 1971; homomorphic filtering works on the same product in the logarithm). The light is estimated as
 * the mean brightness of about 8 × 8 cells of the picture, smoothed over neighbouring cells and interpolated between
 * their centres; each pixel is multiplied by (mean light / local light)^strength, at most 4 times and at least ¼. A
 * bias of 16 levels keeps the noise of black regions down. */
#include "prep/prep.h"

#include <math.h>

#include "base/error.h"
#include "prep/edge.h"
#include "prep/operand.h"

enum { LIGHT_CELLS = 8 };
static const float light_bias = 16.0f, light_most = 4.0f;

typedef struct light_grid {
    size_t columns, rows;
    float raw[LIGHT_CELLS][LIGHT_CELLS], gain[LIGHT_CELLS][LIGHT_CELLS];
    float mean;
} light_grid;

static void light_measure(light_grid *grid, const mien_image_view *grey)
{
    double total = 0;
    for (size_t row = 0; row < grid->rows; row++)
        for (size_t column = 0; column < grid->columns; column++) {
            size_t x0 = column * grey->width / grid->columns, x1 = (column + 1) * grey->width / grid->columns;
            size_t y0 = row * grey->height / grid->rows, y1 = (row + 1) * grey->height / grid->rows;
            uint64_t sum = 0;
            for (size_t y = y0; y < y1; y++)
                for (size_t x = x0; x < x1; x++)
                    sum += grey->data[y * grey->stride + x];
            grid->raw[row][column] = (float)((double)sum / (double)((x1 - x0) * (y1 - y0)));
            total += (double)sum;
        }
    grid->mean = (float)(total / ((double)grey->width * (double)grey->height));
}

static float light_smoothed(const light_grid *grid, size_t row, size_t column)
{
    static const float weight[3] = {1, 2, 1};
    float sum = 0;
    for (ptrdiff_t dy = -1; dy <= 1; dy++)
        for (ptrdiff_t dx = -1; dx <= 1; dx++)
            sum += weight[dy + 1] * weight[dx + 1] *
                   grid->raw[edge_repeat((ptrdiff_t)row + dy, grid->rows)]
                            [edge_repeat((ptrdiff_t)column + dx, grid->columns)];
    return sum / 16;
}

static void light_gains(light_grid *grid, float strength)
{
    for (size_t row = 0; row < grid->rows; row++)
        for (size_t column = 0; column < grid->columns; column++) {
            float ratio = (grid->mean + light_bias) / (light_smoothed(grid, row, column) + light_bias);
            grid->gain[row][column] = powf(fminf(fmaxf(ratio, 1 / light_most), light_most), strength);
        }
}

/* Where a pixel lies between cell centres. */
static float light_between(size_t position, size_t size, size_t cells, size_t *before, size_t *after)
{
    float exact = ((float)position + 0.5f) * (float)cells / (float)size - 0.5f, first = floorf(exact);
    *before = edge_repeat((ptrdiff_t)first, cells);
    *after = edge_repeat((ptrdiff_t)first + 1, cells);
    return exact - first;
}

static void light_apply(const light_grid *grid, const mien_image_view *source, mien_image *target)
{
    for (size_t y = 0; y < source->height; y++) {
        size_t upper = 0, lower = 0, left = 0, right = 0;
        float down = light_between(y, source->height, grid->rows, &upper, &lower), gain[LIGHT_CELLS];
        for (size_t i = 0; i < LIGHT_CELLS; i++)
            gain[i] = grid->gain[upper][i] * (1 - down) + grid->gain[lower][i] * down;
        const uint8_t *from = source->data + y * source->stride;
        uint8_t *to = target->data + y * target->stride;
        for (size_t x = 0; x < source->width; x++) {
            float across = light_between(x, source->width, grid->columns, &left, &right);
            float value = (float)from[x] * (gain[left] * (1 - across) + gain[right] * across);
            to[x] = value < 255.0f ? (uint8_t)lrintf(value) : 255;
        }
    }
}

mien_status prep_illumination(const mien_image_view *source, mien_image *target, double strength, mien_error *error)
{
    mien_status status = operand_check_grey("illumination", source, target, error);
    if (status)
        return status;
    if (!(strength >= 0 && strength <= 1))
        return error_set(error, MIEN_EINVAL, "illumination: strength %g is outside 0..1", strength);
    light_grid grid = {0};
    grid.columns = source->width < LIGHT_CELLS ? source->width : LIGHT_CELLS;
    grid.rows = source->height < LIGHT_CELLS ? source->height : LIGHT_CELLS;
    light_measure(&grid, source);
    light_gains(&grid, (float)strength);
    light_apply(&grid, source, target);
    return MIEN_OK;
}
