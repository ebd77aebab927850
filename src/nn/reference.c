/* Plain-C operators, first family: pointwise functions, per-channel maps, broadcast arithmetic, dense, global pooling,
 * means and maxima over the channels, layer normalisation and softmax. Each follows its ONNX definition literally and
 * accumulates in double, so that a difference to a fast kernel is that kernel's rounding. The families that move
 * windows or bytes stand in reference_window.c and reference_move.c. */
#include "nn/reference.h"

#include <math.h>
#include <string.h>

size_t nn_reference_span(const nn_shape *shape, int from, int to)
{
    size_t count = 1;
    for (int i = from; i < to; i++)
        count *= (size_t)shape->dim[i];
    return count;
}

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

double nn_reference_gelu_argument(double x)
{
    return M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x); /* 2/√π · √½ = √(2/π) */
}

float nn_reference_unary(const nn_node *node, float x)
{
    switch (node->op) {
    case NN_RELU:
        return x > 0 ? x : 0;
    case NN_CLIP:
        return (float)clamp(x, node->alpha, node->beta);
    case NN_LEAKY_RELU:
        return x > 0 ? x : node->alpha * x;
    case NN_ELU:
        return x > 0 ? x : (float)(node->alpha * expm1(x));
    case NN_SIGMOID:
        return (float)(1 / (1 + exp(-(double)x)));
    case NN_TANH:
        return (float)tanh(x);
    case NN_SWISH:
        return (float)(x / (1 + exp(-(double)x)));
    case NN_HARD_SIGMOID:
        return (float)clamp((double)node->alpha * x + node->beta, 0, 1);
    case NN_HARD_SWISH:
        return (float)(x * clamp(x / 6.0 + 0.5, 0, 1));
    case NN_GELU:
        return (float)(0.5 * x * (1 + erf(x * M_SQRT1_2)));
    case NN_GELU_TANH:
        return (float)(0.5 * x * (1 + tanh(nn_reference_gelu_argument(x))));
    case NN_ERF:
        return (float)erf((double)x);
    case NN_SOFTPLUS:
        return (float)(fmax(x, 0) + log1p(exp(-fabs((double)x))));
    case NN_EXP:
        return (float)exp(x);
    default:
        return x;
    }
}

static void unary(const nn_reference_call *call)
{
    size_t count = nn_reference_span(call->to, 0, call->to->rank);
    for (size_t i = 0; i < count; i++)
        call->output[i] = nn_reference_unary(call->node, call->inputs[0][i]);
}

static const float *weight(const nn_reference_call *call, int slot)
{
    int index = call->node->weights[slot];
    return index < 0 ? NULL : call->weights[index].data;
}

/* y = scale·x + shift for each channel; batch normalisation is that with its statistics folded in. */
static void per_channel(const nn_reference_call *call)
{
    const nn_node *node = call->node;
    bool norm = node->op == NN_BATCH_NORM;
    const float *scale = weight(call, 0), *shift = weight(call, 1);
    const float *mean = norm ? weight(call, 2) : NULL, *variance = norm ? weight(call, 3) : NULL;
    size_t channels = (size_t)call->to->dim[1], inner = nn_reference_span(call->to, 2, call->to->rank);
    size_t rows = (size_t)call->to->dim[0] * channels;
    for (size_t row = 0; row < rows; row++) {
        size_t c = row % channels;
        double a = scale ? scale[c] : 1, b = shift ? shift[c] : 0;
        if (norm) {
            a /= sqrt((double)variance[c] + node->epsilon);
            b -= a * mean[c];
        }
        for (size_t i = row * inner; i < (row + 1) * inner; i++)
            call->output[i] = (float)(a * call->inputs[0][i] + b);
    }
}

static void prelu(const nn_reference_call *call)
{
    const nn_weight *slope = &call->weights[call->node->weights[0]];
    size_t channels = (size_t)call->to->dim[1], inner = nn_reference_span(call->to, 2, call->to->rank);
    size_t count = nn_reference_span(call->to, 0, call->to->rank);
    for (size_t i = 0; i < count; i++) {
        float x = call->inputs[0][i];
        call->output[i] = x > 0 ? x : x * slope->data[slope->count == 1 ? 0 : i / inner % channels];
    }
}

/* Offset in an operand of the element at flat position `at` of the output; dimensions of length 1 are broadcast. */
static size_t broadcast_offset(const nn_shape *to, const nn_shape *from, size_t at)
{
    size_t offset = 0, stride = 1;
    for (int d = to->rank - 1, f = from->rank - 1; f >= 0; d--, f--) {
        size_t index = at % (size_t)to->dim[d];
        at /= (size_t)to->dim[d];
        offset += from->dim[f] == 1 ? 0 : index * stride;
        stride *= (size_t)from->dim[f];
    }
    return offset;
}

static void binary(const nn_reference_call *call)
{
    size_t count = nn_reference_span(call->to, 0, call->to->rank);
    for (size_t i = 0; i < count; i++) {
        float a = call->inputs[0][broadcast_offset(call->to, call->from[0], i)];
        float b = call->inputs[1][broadcast_offset(call->to, call->from[1], i)];
        switch (call->node->op) {
        case NN_ADD:
            call->output[i] = a + b;
            break;
        case NN_SUB:
            call->output[i] = a - b;
            break;
        case NN_MUL:
            call->output[i] = a * b;
            break;
        default:
            call->output[i] = a / b;
        }
    }
}

static void dense(const nn_reference_call *call)
{
    const float *kernel = weight(call, 0), *bias = weight(call, 1);
    size_t inputs = nn_reference_span(call->from[0], 1, call->from[0]->rank), outputs = (size_t)call->to->dim[1];
    for (size_t n = 0; n < (size_t)call->to->dim[0]; n++) {
        for (size_t o = 0; o < outputs; o++) {
            double sum = bias ? bias[o] : 0;
            for (size_t i = 0; i < inputs; i++)
                sum += (double)kernel[o * inputs + i] * call->inputs[0][n * inputs + i];
            call->output[n * outputs + o] = (float)sum;
        }
    }
}

static void global_pool(const nn_reference_call *call)
{
    size_t rows = nn_reference_span(call->from[0], 0, 2),
           inner = nn_reference_span(call->from[0], 2, call->from[0]->rank);
    for (size_t row = 0; row < rows; row++) {
        const float *x = call->inputs[0] + row * inner;
        double sum = 0;
        float most = x[0];
        for (size_t i = 0; i < inner; i++) {
            sum += x[i];
            most = x[i] > most ? x[i] : most;
        }
        call->output[row] = call->node->op == NN_GLOBAL_MAX_POOL ? most : (float)(sum / (double)inner);
    }
}

static void channel_pool(const nn_reference_call *call)
{
    size_t channels = (size_t)call->from[0]->dim[1], inner = nn_reference_span(call->to, 2, 4);
    for (size_t i = 0; i < (size_t)call->to->dim[0] * inner; i++) {
        const float *x = call->inputs[0] + i / inner * channels * inner + i % inner;
        double sum = 0;
        float most = x[0];
        for (size_t c = 0; c < channels; c++) {
            sum += x[c * inner];
            most = x[c * inner] > most ? x[c * inner] : most;
        }
        call->output[i] = call->node->op == NN_CHANNEL_MAX ? most : (float)(sum / (double)channels);
    }
}

/* Ba, Kiros & Hinton 2016. */
static void layer_norm(const nn_reference_call *call)
{
    const nn_shape *shape = call->to;
    int axis = call->node->axis;
    const float *scale = weight(call, 0), *shift = weight(call, 1);
    size_t length = (size_t)shape->dim[axis], inner = nn_reference_span(shape, axis + 1, shape->rank);
    for (size_t row = 0; row < nn_reference_span(shape, 0, axis) * inner; row++) {
        size_t start = row / inner * length * inner + row % inner;
        const float *x = call->inputs[0] + start;
        double mean = 0, variance = 0;
        for (size_t i = 0; i < length; i++)
            mean += x[i * inner] / (double)length;
        for (size_t i = 0; i < length; i++)
            variance += (x[i * inner] - mean) * (x[i * inner] - mean) / (double)length;
        for (size_t i = 0; i < length; i++) {
            double normal = (x[i * inner] - mean) / sqrt(variance + call->node->epsilon);
            call->output[start + i * inner] = (float)(normal * (scale ? scale[i] : 1) + (shift ? shift[i] : 0));
        }
    }
}

static void softmax(const nn_reference_call *call)
{
    const nn_shape *shape = call->to;
    int axis = call->node->axis;
    size_t length = (size_t)shape->dim[axis], inner = nn_reference_span(shape, axis + 1, shape->rank);
    size_t outer = nn_reference_span(shape, 0, axis);
    for (size_t row = 0; row < outer * inner; row++) {
        size_t start = row / inner * length * inner + row % inner;
        const float *x = call->inputs[0] + start;
        float *y = call->output + start, most = x[0];
        double sum = 0;
        for (size_t i = 1; i < length; i++)
            most = x[i * inner] > most ? x[i * inner] : most;
        for (size_t i = 0; i < length; i++)
            sum += exp((double)x[i * inner] - most);
        for (size_t i = 0; i < length; i++)
            y[i * inner] = (float)(exp((double)x[i * inner] - most) / sum);
    }
}

void nn_reference_apply(const nn_reference_call *call)
{
    switch (call->node->op) {
    case NN_INPUT:
    case NN_OP_COUNT:
        break;
    case NN_RELU:
    case NN_CLIP:
    case NN_LEAKY_RELU:
    case NN_ELU:
    case NN_SIGMOID:
    case NN_TANH:
    case NN_SWISH:
    case NN_HARD_SIGMOID:
    case NN_HARD_SWISH:
    case NN_GELU:
    case NN_GELU_TANH:
    case NN_SOFTPLUS:
    case NN_EXP:
    case NN_ERF:
        unary(call);
        break;
    case NN_BATCH_NORM:
    case NN_SCALE_SHIFT:
        per_channel(call);
        break;
    case NN_PRELU:
        prelu(call);
        break;
    case NN_ADD:
    case NN_SUB:
    case NN_MUL:
    case NN_DIV:
        binary(call);
        break;
    case NN_DENSE:
        dense(call);
        break;
    case NN_GLOBAL_AVG_POOL:
    case NN_GLOBAL_MAX_POOL:
        global_pool(call);
        break;
    case NN_CHANNEL_MEAN:
    case NN_CHANNEL_MAX:
        channel_pool(call);
        break;
    case NN_LAYER_NORM:
        layer_norm(call);
        break;
    case NN_SOFTMAX:
        softmax(call);
        break;
    case NN_CONV:
    case NN_CONV_TRANSPOSE:
    case NN_MAX_POOL:
    case NN_AVG_POOL:
    case NN_PAD:
    case NN_UPSAMPLE:
        nn_reference_window(call);
        break;
    case NN_CONCAT:
    case NN_SLICE:
    case NN_TRANSPOSE:
    case NN_FLATTEN:
    case NN_RESHAPE:
    case NN_DROPOUT:
    case NN_IDENTITY:
        nn_reference_move(call);
        break;
    }
}
