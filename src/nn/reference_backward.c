/* Plain-C gradients: pointwise functions, per-channel maps, arithmetic, dense, global pooling, softmax, and the
 * training forms of batch normalisation and dropout. The chain rule written out, one loop nest per operator. */
#include "nn/reference_backward.h"

#include <math.h>
#include <string.h>

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static float gelu_tanh_slope(double x)
{
    double t = tanh(nn_reference_gelu_argument(x));
    double inner = M_2_SQRTPI * M_SQRT1_2 * (1 + 3 * 0.044715 * x * x);
    return (float)(0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner);
}

float nn_reference_slope(const nn_node *node, float x)
{
    double s = sigmoid(x), hard = (double)node->alpha * x + node->beta;
    switch (node->op) {
    case NN_RELU:
        return x > 0 ? 1 : 0;
    case NN_CLIP:
        return x > node->alpha && x <= node->beta ? 1 : 0;
    case NN_LEAKY_RELU:
        return x > 0 ? 1 : node->alpha;
    case NN_ELU:
        return x > 0 ? 1 : (float)(node->alpha * exp((double)x));
    case NN_SIGMOID:
        return (float)(s * (1 - s));
    case NN_TANH:
        return (float)(1 - tanh((double)x) * tanh((double)x));
    case NN_SWISH:
        return (float)(s + x * s * (1 - s));
    case NN_HARD_SIGMOID:
        return hard > 0 && hard < 1 ? node->alpha : 0;
    case NN_HARD_SWISH:
        return x <= -3 ? 0 : x >= 3 ? 1 : (2 * x + 3) / 6;
    case NN_GELU: /* with the density of the normal distribution */
        return (float)(0.5 * (1 + erf(x * M_SQRT1_2)) + x * exp(-0.5 * x * x) * 0.5 * M_2_SQRTPI * M_SQRT1_2);
    case NN_GELU_TANH:
        return gelu_tanh_slope(x);
    case NN_SOFTPLUS:
        return (float)s;
    case NN_EXP:
        return (float)exp((double)x);
    default:
        return 1;
    }
}

static void add(float *to, size_t at, double value)
{
    if (to)
        to[at] += (float)value;
}

static size_t count_of(const nn_shape *shape)
{
    return nn_reference_span(shape, 0, shape->rank);
}

static void unary(const nn_reference_gradients *g)
{
    for (size_t i = 0; i < count_of(g->call->to); i++)
        add(g->inputs[0], i, (double)g->output[i] * nn_reference_slope(g->call->node, g->call->inputs[0][i]));
}

static void scale_shift(const nn_reference_gradients *g)
{
    const nn_node *node = g->call->node;
    const float *scale = node->weights[0] < 0 ? NULL : g->call->weights[node->weights[0]].data;
    size_t channels = (size_t)g->call->to->dim[1], inner = nn_reference_span(g->call->to, 2, g->call->to->rank);
    for (size_t i = 0; i < count_of(g->call->to); i++) {
        size_t c = i / inner % channels;
        add(g->inputs[0], i, (double)g->output[i] * (scale ? scale[c] : 1));
        add(g->weights[0], c, (double)g->output[i] * g->call->inputs[0][i]);
        add(g->weights[1], c, g->output[i]);
    }
}

static void prelu(const nn_reference_gradients *g)
{
    const nn_weight *slope = &g->call->weights[g->call->node->weights[0]];
    size_t channels = (size_t)g->call->to->dim[1], inner = nn_reference_span(g->call->to, 2, g->call->to->rank);
    for (size_t i = 0; i < count_of(g->call->to); i++) {
        size_t c = slope->count == 1 ? 0 : i / inner % channels;
        float x = g->call->inputs[0][i];
        add(g->inputs[0], i, (double)g->output[i] * (x < 0 ? slope->data[c] : 1));
        add(g->weights[0], c, x < 0 ? (double)g->output[i] * x : 0);
    }
}

static void binary(const nn_reference_gradients *g)
{
    size_t count = count_of(g->call->to);
    size_t inner = count / count_of(g->call->from[1]); /* 1, or the positions of a channel */
    for (size_t i = 0; i < count; i++) {
        double dy = g->output[i], a = g->call->inputs[0][i], b = g->call->inputs[1][i / inner];
        nn_op op = g->call->node->op;
        add(g->inputs[0], i, op == NN_MUL ? dy * b : op == NN_DIV ? dy / b : dy);
        add(g->inputs[1], i / inner,
            op == NN_MUL   ? dy * a
            : op == NN_DIV ? -dy * a / (b * b)
            : op == NN_SUB ? -dy
                           : dy);
    }
}

static void dense(const nn_reference_gradients *g)
{
    const float *kernel = g->call->weights[g->call->node->weights[0]].data;
    size_t inputs = (size_t)g->call->from[0]->dim[1], outputs = (size_t)g->call->to->dim[1];
    for (size_t n = 0; n < (size_t)g->call->to->dim[0]; n++) {
        for (size_t o = 0; o < outputs; o++) {
            double dy = g->output[n * outputs + o];
            add(g->weights[1], o, dy);
            for (size_t i = 0; i < inputs; i++) {
                add(g->weights[0], o * inputs + i, dy * g->call->inputs[0][n * inputs + i]);
                add(g->inputs[0], n * inputs + i, dy * kernel[o * inputs + i]);
            }
        }
    }
}

static void global_pool(const nn_reference_gradients *g)
{
    const nn_shape *from = g->call->from[0];
    size_t inner = nn_reference_span(from, 2, from->rank);
    for (size_t row = 0; row < nn_reference_span(from, 0, 2); row++) {
        const float *x = g->call->inputs[0] + row * inner;
        size_t winner = 0;
        for (size_t i = 1; i < inner; i++)
            winner = x[i] > x[winner] ? i : winner;
        for (size_t i = 0; i < inner && g->call->node->op == NN_GLOBAL_AVG_POOL; i++)
            add(g->inputs[0], row * inner + i, (double)g->output[row] / (double)inner);
        if (g->call->node->op == NN_GLOBAL_MAX_POOL)
            add(g->inputs[0], row * inner + winner, g->output[row]);
    }
}

/* dx = y · (dy - Σ y·dy) */
static void softmax(const nn_reference_gradients *g)
{
    const nn_shape *shape = g->call->to;
    int axis = g->call->node->axis;
    size_t length = (size_t)shape->dim[axis], inner = nn_reference_span(shape, axis + 1, shape->rank);
    for (size_t row = 0; row < nn_reference_span(shape, 0, axis) * inner; row++) {
        size_t start = row / inner * length * inner + row % inner;
        const float *y = g->call->output + start, *dy = g->output + start;
        double sum = 0;
        for (size_t i = 0; i < length; i++)
            sum += (double)y[i * inner] * dy[i * inner];
        for (size_t i = 0; i < length; i++)
            add(g->inputs[0], start + i * inner, y[i * inner] * (dy[i * inner] - sum));
    }
}

/* ---- batch normalisation over the microbatch ---- */

/* Σ f over the values of one channel, where f is 1, x, (x-mean)², dy or dy·(x-mean). */
typedef enum channel_sum { SUM_X, SUM_SQUARE, SUM_GRADIENT, SUM_PRODUCT } channel_sum;

static double sum_channel(const nn_reference_call *call, const float *gradient, size_t c, double mean, channel_sum what)
{
    size_t channels = (size_t)call->to->dim[1], inner = nn_reference_span(call->to, 2, call->to->rank);
    double sum = 0;
    for (size_t n = 0; n < (size_t)call->to->dim[0]; n++) {
        for (size_t i = (n * channels + c) * inner; i < (n * channels + c + 1) * inner; i++) {
            double x = call->inputs[0][i], dy = gradient ? gradient[i] : 0;
            sum += what == SUM_X          ? x
                   : what == SUM_SQUARE   ? (x - mean) * (x - mean)
                   : what == SUM_GRADIENT ? dy
                                          : dy * (x - mean);
        }
    }
    return sum;
}

void nn_reference_norm_train(const nn_reference_call *call, float *mean, float *variance)
{
    const nn_node *node = call->node;
    size_t channels = (size_t)call->to->dim[1], inner = nn_reference_span(call->to, 2, call->to->rank);
    double count = (double)count_of(call->to) / (double)channels;
    for (size_t c = 0; c < channels; c++) {
        double average = sum_channel(call, NULL, c, 0, SUM_X) / count;
        mean[c] = (float)average;
        variance[c] = (float)(sum_channel(call, NULL, c, average, SUM_SQUARE) / count);
    }
    float *out = call->output;
    const float *x = call->inputs[0];
    for (size_t n = 0; n < (size_t)call->to->dim[0]; n++) {
        for (size_t c = 0; c < channels; c++) {
            double scale = call->weights[node->weights[0]].data[c] / sqrt((double)variance[c] + node->epsilon);
            for (size_t i = 0; i < inner; i++)
                *out++ = (float)(scale * (*x++ - (double)mean[c]) + call->weights[node->weights[1]].data[c]);
        }
    }
}

/* dx = γ/σ · (dy - mean(dy) - x̂ · mean(dy · x̂)) */
static void batch_norm(const nn_reference_gradients *g)
{
    const nn_reference_call *call = g->call;
    size_t channels = (size_t)call->to->dim[1], inner = nn_reference_span(call->to, 2, call->to->rank);
    double count = (double)count_of(call->to) / (double)channels;
    for (size_t c = 0; c < channels; c++) {
        double gamma = call->weights[call->node->weights[0]].data[c], mean = g->mean[c];
        double inverse = 1 / sqrt((double)g->variance[c] + call->node->epsilon);
        double shift = sum_channel(call, g->output, c, mean, SUM_GRADIENT);
        double scale = sum_channel(call, g->output, c, mean, SUM_PRODUCT) * inverse;
        add(g->weights[0], c, scale);
        add(g->weights[1], c, shift);
        for (size_t n = 0; n < (size_t)call->to->dim[0]; n++)
            for (size_t i = (n * channels + c) * inner; i < (n * channels + c + 1) * inner; i++) {
                double normal = (call->inputs[0][i] - mean) * inverse;
                add(g->inputs[0], i, gamma * inverse * (g->output[i] - shift / count - normal * scale / count));
            }
    }
}

/* ---- dropout ---- */

void nn_reference_dropout_train(const nn_reference_call *call, const uint8_t *keep)
{
    float scale = 1 / (1 - call->node->alpha);
    for (size_t i = 0; i < count_of(call->to); i++)
        call->output[i] = keep[i] ? call->inputs[0][i] * scale : 0;
}

static void dropout(const nn_reference_gradients *g)
{
    double scale = 1 / (1 - (double)g->call->node->alpha);
    for (size_t i = 0; i < count_of(g->call->to); i++)
        add(g->inputs[0], i, g->keep[i] ? g->output[i] * scale : 0);
}

void nn_reference_backward(const nn_reference_gradients *g)
{
    switch (g->call->node->op) {
    case NN_INPUT:
    case NN_OP_COUNT:
        break;
    case NN_CONV:
    case NN_MAX_POOL:
    case NN_AVG_POOL:
        nn_reference_window_backward(g);
        break;
    case NN_DENSE:
        dense(g);
        break;
    case NN_BATCH_NORM:
        batch_norm(g);
        break;
    case NN_SCALE_SHIFT:
        scale_shift(g);
        break;
    case NN_PRELU:
        prelu(g);
        break;
    case NN_GLOBAL_AVG_POOL:
    case NN_GLOBAL_MAX_POOL:
        global_pool(g);
        break;
    case NN_ADD:
    case NN_SUB:
    case NN_MUL:
    case NN_DIV:
        binary(g);
        break;
    case NN_SOFTMAX:
        softmax(g);
        break;
    case NN_DROPOUT:
        dropout(g);
        break;
    case NN_CONCAT:
    case NN_FLATTEN:
    case NN_RESHAPE:
    case NN_TRANSPOSE:
    case NN_SLICE:
    case NN_PAD:
    case NN_UPSAMPLE:
    case NN_IDENTITY:
        nn_reference_move_backward(g);
        break;
    default:
        unary(g);
    }
}
