/* Plain-C operators, third family: values are moved and never changed. Every shape is seen as [outer, axis, inner],
 * which turns concatenation and slicing into runs of memcpy; transposition walks the output and computes the source
 * offset. */
#include "nn/reference.h"

#include <string.h>

static void concat(const nn_reference_call *call)
{
    const nn_node *node = call->node;
    int axis = node->axis, rank = call->to->rank;
    size_t outer = nn_reference_span(call->to, 0, axis), row = nn_reference_span(call->to, axis, rank), at = 0;
    for (int i = 0; i < node->input_count; i++) {
        size_t length = nn_reference_span(call->from[i], axis, rank);
        for (size_t o = 0; o < outer; o++)
            memcpy(call->output + o * row + at, call->inputs[i] + o * length, length * sizeof(float));
        at += length;
    }
}

static void slice(const nn_reference_call *call)
{
    const nn_node *node = call->node;
    int axis = node->axis, rank = call->to->rank;
    size_t outer = nn_reference_span(call->to, 0, axis), inner = nn_reference_span(call->to, axis + 1, rank);
    size_t length = nn_reference_span(call->to, axis, rank), row = nn_reference_span(call->from[0], axis, rank);
    for (size_t o = 0; o < outer; o++)
        memcpy(call->output + o * length, call->inputs[0] + o * row + (size_t)node->begin * inner,
               length * sizeof(float));
}

static void transpose(const nn_reference_call *call)
{
    const nn_shape *from = call->from[0], *to = call->to;
    size_t stride[NN_MAX_RANK] = {0}, count = nn_reference_span(to, 0, to->rank);
    for (int d = 0; d < to->rank; d++)
        stride[d] = nn_reference_span(from, call->node->permutation[d] + 1, from->rank);
    for (size_t i = 0; i < count; i++) {
        size_t rest = i, offset = 0;
        for (int d = to->rank - 1; d >= 0; d--) {
            offset += rest % (size_t)to->dim[d] * stride[d];
            rest /= (size_t)to->dim[d];
        }
        call->output[i] = call->inputs[0][offset];
    }
}

void nn_reference_move(const nn_reference_call *call)
{
    switch (call->node->op) {
    case NN_CONCAT:
        concat(call);
        break;
    case NN_SLICE:
        slice(call);
        break;
    case NN_TRANSPOSE:
        transpose(call);
        break;
    default: /* flatten, reshape, dropout, identity: the same numbers in the same order */
        memcpy(call->output, call->inputs[0], nn_reference_span(call->to, 0, call->to->rank) * sizeof(float));
    }
}
