/* Plain-C operators, second family: whatever slides a window over height and width. A window position is found from the
 * output position, stride, dilation and padding as ONNX defines it; taps outside the picture count as zero
 * (convolutions, padding), as minus infinity (max pooling) or not at all (average pooling unless count_include_pad). */
#include "nn/reference.h"

#include <float.h>

typedef struct window_at {
    const float *plane; /* one channel of the input */
    int64_t height, width;
} window_at;

/* The tap at (y, x), or NULL outside the picture. */
static const float *tap(const window_at *at, int64_t y, int64_t x)
{
    return y < 0 || x < 0 || y >= at->height || x >= at->width ? NULL : at->plane + y * at->width + x;
}

static window_at plane_of(const nn_reference_call *call, int64_t image, int64_t channel)
{
    const nn_shape *from = call->from[0];
    int64_t height = from->dim[2], width = from->dim[3];
    return (window_at){call->inputs[0] + (image * from->dim[1] + channel) * height * width, height, width};
}

static double convolve_channel(const nn_node *node, const window_at *at, const float *kernel, int64_t y, int64_t x)
{
    double sum = 0;
    for (int ky = 0; ky < node->kernel_h; ky++) {
        for (int kx = 0; kx < node->kernel_w; kx++) {
            const float *value = tap(at, y * node->stride_h - node->pad_top + ky * node->dilation_h,
                                     x * node->stride_w - node->pad_left + kx * node->dilation_w);
            if (value)
                sum += (double)*value * kernel[ky * node->kernel_w + kx];
        }
    }
    return sum;
}

/* The pixel of the input whose window puts tap `k` on output position `at`; -1 where there is none. */
static int64_t source_of(int64_t at, int k, int stride, int dilation, int pad)
{
    int64_t offset = at + pad - (int64_t)k * dilation;
    return offset < 0 || offset % stride ? -1 : offset / stride;
}

static double spread_channel(const nn_node *node, const window_at *at, const float *kernel, int64_t y, int64_t x)
{
    double sum = 0;
    for (int ky = 0; ky < node->kernel_h; ky++) {
        for (int kx = 0; kx < node->kernel_w; kx++) {
            const float *value = tap(at, source_of(y, ky, node->stride_h, node->dilation_h, node->pad_top),
                                     source_of(x, kx, node->stride_w, node->dilation_w, node->pad_left));
            if (value)
                sum += (double)*value * kernel[ky * node->kernel_w + kx];
        }
    }
    return sum;
}

static double convolve_at(const nn_reference_call *call, int64_t n, int64_t o, int64_t y, int64_t x)
{
    const nn_node *node = call->node;
    int64_t inputs = call->from[0]->dim[1] / node->groups, outputs = call->to->dim[1] / node->groups;
    const float *kernel = call->weights[node->weights[0]].data + o * inputs * node->kernel_h * node->kernel_w;
    double sum = node->weights[1] < 0 ? 0 : call->weights[node->weights[1]].data[o];
    for (int64_t i = 0; i < inputs; i++) {
        window_at at = plane_of(call, n, o / outputs * inputs + i);
        const float *part = kernel + i * node->kernel_h * node->kernel_w;
        sum += node->op == NN_CONV ? convolve_channel(node, &at, part, y, x) : spread_channel(node, &at, part, y, x);
    }
    return sum;
}

static double pool_at(const nn_reference_call *call, int64_t n, int64_t c, int64_t y, int64_t x)
{
    const nn_node *node = call->node;
    window_at at = plane_of(call, n, c);
    double sum = 0, most = -FLT_MAX;
    int taken = 0;
    for (int ky = 0; ky < node->kernel_h; ky++) {
        for (int kx = 0; kx < node->kernel_w; kx++) {
            const float *value = tap(&at, y * node->stride_h - node->pad_top + ky * node->dilation_h,
                                     x * node->stride_w - node->pad_left + kx * node->dilation_w);
            if (!value)
                continue;
            taken++;
            sum += *value;
            most = *value > most ? *value : most;
        }
    }
    if (node->op == NN_MAX_POOL)
        return most;
    int area = node->count_include_pad ? node->kernel_h * node->kernel_w : taken;
    return area ? sum / area : 0;
}

static double window_value(const nn_reference_call *call, int64_t n, int64_t c, int64_t y, int64_t x)
{
    const nn_node *node = call->node;
    if (node->op == NN_CONV || node->op == NN_CONV_TRANSPOSE)
        return convolve_at(call, n, c, y, x);
    if (node->op == NN_MAX_POOL || node->op == NN_AVG_POOL)
        return pool_at(call, n, c, y, x);
    window_at at = plane_of(call, n, c);
    const float *value = node->op == NN_PAD ? tap(&at, y - node->pad_top, x - node->pad_left)
                                            : tap(&at, y / node->stride_h, x / node->stride_w);
    return value ? *value : 0;
}

void nn_reference_window(const nn_reference_call *call)
{
    const nn_shape *to = call->to;
    float *out = call->output;
    for (int64_t n = 0; n < to->dim[0]; n++)
        for (int64_t c = 0; c < to->dim[1]; c++)
            for (int64_t y = 0; y < to->dim[2]; y++)
                for (int64_t x = 0; x < to->dim[3]; x++)
                    *out++ = (float)window_value(call, n, c, y, x);
}
