/* Operators of a tape that treat each channel with an operand of its own: [N,C,H,W] with [N,C,1,1] (squeeze and
 * excite), scale and shift, PReLU; and the hard sigmoid, whose operands are the same for all channels.
 *
 * A tensor is seen as rows, one per image and channel or block of channels. Both plain and blocked layouts without
 * padding lanes are such rows; anything else is brought to plain layout first. In bf16 mode a row is widened in pieces
 * that stay in the first-level cache. */
#include "nn/onednn_tape.h"

#include "nn/tape_rows.h"

#include <string.h>

enum { PIECE = 1024 }; /* floats; a multiple of TAPE_LANES */

/* [images][groups of channels][positions][channels of a group]; `lanes` divides TAPE_LANES. */
typedef struct channel_view {
    int64_t images, groups, positions, lanes;
} channel_view;

static bool view_of(const dnnl_memory_desc_t *md, channel_view *view)
{
    const dnnl_blocking_desc_t *b = &md->format_desc.blocking;
    if (tape_padded(md) || md->format_kind != dnnl_blocked)
        return false;
    int64_t positions = 1;
    for (int i = 2; i < md->ndims; i++)
        positions *= md->dims[i];
    *view = (channel_view){md->dims[0], md->dims[1], positions, 1};
    if (b->inner_nblks == 0)
        return onednn_is_plain(md);
    int64_t lanes = b->inner_blks[0], stride = lanes;
    if (b->inner_nblks != 1 || b->inner_idxs[0] != 1 || TAPE_LANES % lanes)
        return false;
    for (int i = md->ndims - 1; i >= 0; i--) { /* contiguous in the order N, C/lanes, … */
        if (b->strides[i] != stride && (i == 1 ? md->dims[1] / lanes : md->dims[i]) != 1)
            return false;
        stride *= i == 1 ? md->dims[1] / lanes : md->dims[i];
    }
    view->groups = md->dims[1] / lanes;
    view->lanes = lanes;
    return true;
}

/* A value as rows: its own layout when that is one of rows, else plain. */
static tape_place source_rows(onednn_tape *tape, int node, unsigned phase)
{
    channel_view view;
    tape_place place = tape_source(tape, node, phase);
    return tape->failed || view_of(&place.md, &view) ? place : tape_source_plain(tape, node, phase);
}

static const float *read_piece(const void *data, size_t at, size_t count, bool narrow, float *piece)
{
    if (!narrow)
        return (const float *)data + at;
    tape_rows_best()->widen((const uint16_t *)data + at, piece, count);
    return piece;
}

static void read_lanes(const void *data, bool narrow, int64_t at, int64_t lanes, float *pattern)
{
    float few[TAPE_LANES];
    const float *values = read_piece(data, (size_t)at, (size_t)lanes, narrow, few);
    for (int64_t i = 0; i < TAPE_LANES; i++)
        pattern[i] = values[i % lanes];
}

/* ---- map: every number with its channel's operands ---- */

/* Operands: x, g (or x again), v, w (or v again), to. size: the view, 4 numbers; [4] stride of v between images.
 * flags: kind, data are bf16, v is bf16. */
static void run_map(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    const tape_rows *rows = tape_rows_best();
    const int64_t *size = step->size;
    bool narrow = step->flags[1];
    size_t row = (size_t)(size[2] * size[3]);
    float x[PIECE], g[PIECE], v[TAPE_LANES], w[TAPE_LANES], out[PIECE];
    for (int64_t n = 0; n < size[0]; n++) {
        for (int64_t c = 0; c < size[1]; c++) {
            read_lanes(step->operands[2].data, step->flags[2], n * size[4] + c * size[3], size[3], v);
            read_lanes(step->operands[3].data, step->flags[2], n * size[4] + c * size[3], size[3], w);
            size_t at = (size_t)(n * size[1] + c) * row;
            for (size_t done = 0; done < row; done += PIECE) {
                size_t count = row - done < PIECE ? row - done : PIECE;
                float *to = narrow ? out : (float *)step->operands[4].data + at + done;
                const float *xs = read_piece(step->operands[0].data, at + done, count, narrow, x);
                const float *gs = step->operands[1].data == step->operands[0].data
                                      ? xs
                                      : read_piece(step->operands[1].data, at + done, count, narrow, g);
                rows->map((tape_map)step->flags[0], xs, gs, v, w, to, count);
                if (narrow)
                    rows->narrow(out, (uint16_t *)step->operands[4].data + at + done, count);
            }
        }
    }
}

/* The per-channel operands: a plain [N,C,1,1] value in the tape's type, or f32 vectors that all images share. */
typedef struct lanes_from {
    int v, w; /* buffers; w may be v */
    bool per_image, narrow;
} lanes_from;

static tape_place emit_map(onednn_tape *tape, unsigned phase, tape_map kind, const tape_place *x,
                           const tape_place *gradient, const lanes_from *from)
{
    channel_view view = {0};
    tape_place to = tape_place_new(tape, &x->md);
    tape_step *step = tape_call(tape, phase, run_map);
    if (!step || !view_of(&x->md, &view))
        return to;
    tape_use(tape, step, x->buffer);
    tape_use(tape, step, gradient ? gradient->buffer : x->buffer);
    tape_use(tape, step, from->v);
    tape_use(tape, step, from->w);
    tape_use(tape, step, to.buffer);
    step->size[0] = view.images;
    step->size[1] = view.groups;
    step->size[2] = view.positions;
    step->size[3] = view.lanes;
    step->size[4] = from->per_image ? view.groups * view.lanes : 0;
    step->flags[0] = (int)kind;
    step->flags[1] = x->md.data_type == dnnl_bf16;
    step->flags[2] = from->narrow;
    return to;
}

/* ---- reduce: sums over the positions of a channel ---- */

/* Sums of one row, folded to its lanes. */
static void reduce_row(const tape_step *step, size_t at, float *sums)
{
    const tape_rows *rows = tape_rows_best();
    bool narrow = step->flags[1];
    size_t row = (size_t)(step->size[2] * step->size[3]);
    float x[PIECE], g[PIECE];
    memset(sums, 0, TAPE_LANES * sizeof *sums);
    for (size_t done = 0; done < row; done += PIECE) {
        size_t count = row - done < PIECE ? row - done : PIECE;
        const float *gs = read_piece(step->operands[0].data, at + done, count, narrow, g);
        const float *xs = step->operands[1].data == step->operands[0].data
                              ? gs
                              : read_piece(step->operands[1].data, at + done, count, narrow, x);
        rows->reduce((tape_reduce)step->flags[0], gs, xs, sums, count);
    }
    for (int64_t i = step->size[3]; i < TAPE_LANES; i++)
        sums[i % step->size[3]] += sums[i];
    for (int64_t i = 0; i < step->size[3]; i++)
        sums[i] *= step->factor[0];
}

/* Operands: g, x (or g again), to: a [N,C] value in the tape's type. size: the view; flags: kind, bf16. */
static void run_reduce(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    const int64_t *size = step->size;
    float sums[TAPE_LANES];
    for (int64_t r = 0; r < size[0] * size[1]; r++) {
        reduce_row(step, (size_t)(r * size[2] * size[3]), sums);
        if (step->flags[1])
            tape_rows_best()->narrow(sums, (uint16_t *)step->operands[2].data + r * size[3], (size_t)size[3]);
        else
            memcpy((float *)step->operands[2].data + r * size[3], sums, (size_t)size[3] * sizeof(float));
    }
}

/* The same over all images, added to the caller's gradient of a weight of size[5] numbers (1: all channels share). */
static void run_reduce_weight(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    const int64_t *size = step->size;
    float *to = step->operands[2].data;
    float sums[TAPE_LANES];
    for (int64_t r = 0; r < size[0] * size[1]; r++) {
        reduce_row(step, (size_t)(r * size[2] * size[3]), sums);
        for (int64_t i = 0; i < size[3]; i++)
            to[size[5] == 1 ? 0 : (r % size[1]) * size[3] + i] += sums[i];
    }
}

static tape_step *emit_reduce(onednn_tape *tape, tape_function *function, tape_reduce kind, const tape_place *gradient,
                              const tape_place *x, float factor)
{
    channel_view view = {0};
    tape_step *step = tape_call(tape, PHASE_BACKWARD, function);
    if (!step || !view_of(&gradient->md, &view))
        return NULL;
    tape_use(tape, step, gradient->buffer);
    tape_use(tape, step, x ? x->buffer : gradient->buffer);
    step->size[0] = view.images;
    step->size[1] = view.groups;
    step->size[2] = view.positions;
    step->size[3] = view.lanes;
    step->factor[0] = factor;
    step->flags[0] = (int)kind;
    step->flags[1] = gradient->md.data_type == dnnl_bf16;
    return step;
}

static void reduce_to_value(onednn_tape *tape, int node, tape_reduce kind, const tape_place *gradient,
                            const tape_place *x, float factor)
{
    if (!tape->needs_gradient[node])
        return;
    tape_step *step = emit_reduce(tape, run_reduce, kind, gradient, x, factor);
    dnnl_memory_desc_t md = onednn_plain(&tape->shapes[node], tape->type);
    tape_place to = tape_place_new(tape, &md);
    tape_use(tape, step, to.buffer);
    tape_contribute(tape, node, &to, true);
}

static void reduce_to_weight(onednn_tape *tape, int weight, tape_reduce kind, const tape_place *gradient,
                             const tape_place *x)
{
    if (!tape_trainable(tape, weight))
        return;
    tape_step *step = emit_reduce(tape, run_reduce_weight, kind, gradient, x, 1.0f);
    tape_use_external(tape, step, TAPE_GRADIENTS, tape->offsets[weight]);
    if (step)
        step->size[5] = (int64_t)tape->graph->weights[weight].count;
}

/* ---- operators ---- */

static void fill_value(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    float *to = step->operands[0].data;
    for (int64_t i = 0; i < step->size[0]; i++)
        to[i] = step->factor[0];
}

/* A vector of one number, for an operand that is missing or the same everywhere. */
static int constant(onednn_tape *tape, int64_t count, float value)
{
    int buffer = tape_buffer_add(tape, (size_t)count * sizeof(float), true);
    tape_step *step = tape_call(tape, PHASE_PREPARE, fill_value);
    tape_use(tape, step, buffer);
    if (step) {
        step->size[0] = count;
        step->factor[0] = value;
    }
    return buffer;
}

static void spread(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    const float *from = step->operands[0].data;
    float *to = step->operands[1].data;
    for (int64_t i = 0; i < step->size[0]; i++)
        to[i] = from[step->size[1] == 1 ? 0 : i];
}

/* A weight [C], or [1] spread over C channels; a constant where there is none. */
static int channel_vector(onednn_tape *tape, int weight, int64_t channels, float otherwise)
{
    if (weight < 0)
        return constant(tape, channels, otherwise);
    int buffer = tape_buffer_add(tape, (size_t)channels * sizeof(float), true);
    tape_step *step = tape_call(tape, PHASE_PREPARE, spread);
    tape_use_external(tape, step, TAPE_PARAMETERS, tape->offsets[weight]);
    tape_use(tape, step, buffer);
    if (step) {
        step->size[0] = channels;
        step->size[1] = (int64_t)tape->graph->weights[weight].count;
    }
    return buffer;
}

static lanes_from operands_of(onednn_tape *tape, int index, tape_map *kind)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    int64_t channels = tape->shapes[index].dim[1];
    if (node->op == NN_SCALE_SHIFT || node->op == NN_PRELU || node->op == NN_HARD_SIGMOID) {
        bool hard = node->op == NN_HARD_SIGMOID;
        *kind = node->op == NN_PRELU ? MAP_PRELU : hard ? MAP_HARD_SIGMOID : MAP_AFFINE;
        state->weights[0] = channel_vector(tape, node->weights[0], channels, hard ? node->alpha : 1.0f);
        state->weights[1] = node->op == NN_PRELU
                                ? state->weights[0]
                                : channel_vector(tape, node->weights[1], channels, hard ? node->beta : 0.0f);
        return (lanes_from){state->weights[0], state->weights[1], false, false};
    }
    *kind = node->op == NN_ADD ? MAP_ADD : node->op == NN_SUB ? MAP_SUB : node->op == NN_MUL ? MAP_MUL : MAP_DIV;
    state->other = tape_source_plain(tape, node->inputs[1], PHASE_FORWARD);
    return (lanes_from){state->other.buffer, state->other.buffer, true, tape->type == dnnl_bf16};
}

void tape_channel_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    tape_map kind;
    state->source = source_rows(tape, node->inputs[0], PHASE_FORWARD);
    lanes_from from = operands_of(tape, index, &kind);
    if (tape->failed)
        return;
    state->result = emit_map(tape, PHASE_FORWARD, kind, &state->source, NULL, &from);
    tape_set_value(tape, index, state->result.buffer, &state->result.md);
}

static void broadcast_backward(onednn_tape *tape, const nn_node *node, const tape_node *state,
                               const tape_place *gradient)
{
    lanes_from from = {state->other.buffer, state->other.buffer, true, tape->type == dnnl_bf16};
    tape_place leaving = *gradient;
    bool scaled = node->op == NN_MUL || node->op == NN_DIV;
    if (scaled)
        leaving = emit_map(tape, PHASE_BACKWARD, node->op == NN_MUL ? MAP_MUL : MAP_DIV, gradient, NULL, &from);
    if (node->op == NN_DIV)
        reduce_to_value(tape, node->inputs[1], REDUCE_PRODUCT, &leaving, &state->result, -1.0f);
    else if (node->op == NN_MUL)
        reduce_to_value(tape, node->inputs[1], REDUCE_PRODUCT, gradient, &state->source, 1.0f);
    else
        reduce_to_value(tape, node->inputs[1], REDUCE_GRADIENT, gradient, NULL, node->op == NN_SUB ? -1.0f : 1.0f);
    tape_contribute(tape, node->inputs[0], &leaving, scaled);
}

void tape_channel_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    const tape_node *state = &tape->nodes[index];
    lanes_from from = {state->weights[0], state->weights[1], false, false};
    tape_place gradient, leaving;
    if (!tape_gradient(tape, index, &gradient))
        return;
    switch (node->op) {
    case NN_SCALE_SHIFT:
        reduce_to_weight(tape, node->weights[0], REDUCE_PRODUCT, &gradient, &state->source);
        reduce_to_weight(tape, node->weights[1], REDUCE_GRADIENT, &gradient, NULL);
        leaving = emit_map(tape, PHASE_BACKWARD, MAP_MUL, &gradient, NULL, &from);
        break;
    case NN_PRELU:
        reduce_to_weight(tape, node->weights[0], REDUCE_NEGATIVE, &gradient, &state->source);
        leaving = emit_map(tape, PHASE_BACKWARD, MAP_PRELU_BACKWARD, &state->source, &gradient, &from);
        break;
    case NN_HARD_SIGMOID:
        leaving = emit_map(tape, PHASE_BACKWARD, MAP_HARD_SIGMOID_BACKWARD, &state->source, &gradient, &from);
        break;
    default:
        broadcast_backward(tape, node, state, &gradient);
        return;
    }
    tape_contribute(tape, node->inputs[0], &leaving, true);
}
