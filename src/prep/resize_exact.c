/* Bilinear resizing as OpenCV's INTER_LINEAR_EXACT does it: positions in double precision, the second weight rounded to
 * 8 bits and the first its complement, all sums kept whole, one rounding at the end. Outside the outermost pixel
 * centres the edge pixel stands alone. The result is the same on every machine, which is why OpenCV's cascade uses it.
 */
#include "prep/prep.h"

#include <math.h>

#include "prep/kernels.h"
#include "prep/resize_plan.h"

enum { EXACT_ONE = 1 << 8 };

static resize_tap exact_taps(size_t position, size_t size, double scale)
{
    double exact = scale * ((double)position + 0.5) - 0.5, first = floor(exact);
    if (first < 0)
        return (resize_tap){{0, 0}, {EXACT_ONE, 0}};
    if (first >= (double)(size - 1))
        return (resize_tap){{(uint32_t)(size - 1), (uint32_t)(size - 1)}, {EXACT_ONE, 0}};
    uint16_t second = (uint16_t)lrint((exact - first) * EXACT_ONE);
    return (resize_tap){{(uint32_t)first, (uint32_t)first + 1}, {(uint16_t)(EXACT_ONE - second), second}};
}

mien_status prep_resize_linear_exact(const mien_image_view *source, mien_image *target, mien_error *error)
{
    int done;
    mien_status status = resize_check("resize", source, target, &done, error);
    if (status || done)
        return status;
    const resize_method method = {"resize", exact_taps, exact_taps, 0, prep_kernels_get()->blend_exact};
    return resize_run(&method, source, target, error);
}
