/* Dropout of a tape (Srivastava et al. 2014), inverted: what is kept is scaled up while training, evaluation copies.
 * The mask follows memory order, which in a blocked layout is not the order of the channels. */
#include "nn/onednn_tape.h"

#include "nn/tape_rows.h"

#include <string.h>

enum { PIECE = 1024 };

/* Operands: from, keep, to. size[0] numbers; factor[0] scale; flags[0]: bf16. */
static void apply_mask(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    const tape_rows *rows = tape_rows_best();
    float wide[PIECE], out[PIECE];
    size_t total = (size_t)step->size[0];
    for (size_t at = 0; at < total; at += PIECE) {
        size_t count = total - at < PIECE ? total - at : PIECE;
        const uint8_t *keep = (const uint8_t *)step->operands[1].data + at;
        if (!step->flags[0]) {
            rows->mask((const float *)step->operands[0].data + at, keep, step->factor[0],
                       (float *)step->operands[2].data + at, count);
            continue;
        }
        rows->widen((const uint16_t *)step->operands[0].data + at, wide, count);
        rows->mask(wide, keep, step->factor[0], out, count);
        rows->narrow(out, (uint16_t *)step->operands[2].data + at, count);
    }
}

/* Operand: keep. size[0] numbers, size[1] the node; factor[0] the probability. */
static void draw_mask(onednn_tape *tape, const tape_step *step)
{
    tape_draw_mask(step->factor[0], tape->seed, (uint64_t)step->size[1], step->operands[0].data, (size_t)step->size[0]);
}

static void copy_bytes(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    memcpy(step->operands[1].data, step->operands[0].data, (size_t)step->size[0]);
}

static void emit_mask(onednn_tape *tape, unsigned phase, int index, const tape_place *from, const tape_place *to)
{
    tape_step *step = tape_call(tape, phase, apply_mask);
    tape_use(tape, step, from->buffer);
    tape_use(tape, step, tape->nodes[index].workspace);
    tape_use(tape, step, to->buffer);
    if (!step)
        return;
    step->size[0] = (int64_t)(dnnl_memory_desc_get_size(&from->md) / dnnl_data_type_size(from->md.data_type));
    step->factor[0] = 1.0f / (1.0f - tape->graph->nodes[index].alpha);
    step->flags[0] = from->md.data_type == dnnl_bf16;
}

void tape_dropout_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    state->source = tape_source(tape, node->inputs[0], PHASE_FORWARD);
    state->result = tape_place_new(tape, &state->source.md);
    size_t bytes = dnnl_memory_desc_get_size(&state->source.md);
    size_t count = bytes / dnnl_data_type_size(state->source.md.data_type);
    state->workspace = tape_buffer_add(tape, count, false);
    tape_step *draw = tape_call(tape, PHASE_TRAIN, draw_mask);
    tape_use(tape, draw, state->workspace);
    if (draw) {
        draw->size[0] = (int64_t)count;
        draw->size[1] = index;
        draw->factor[0] = node->alpha;
    }
    emit_mask(tape, PHASE_TRAIN, index, &state->source, &state->result);
    tape_step *copy = tape_call(tape, PHASE_EVAL, copy_bytes);
    tape_use(tape, copy, state->source.buffer);
    tape_use(tape, copy, state->result.buffer);
    if (copy)
        copy->size[0] = (int64_t)bytes;
    tape_set_value(tape, index, state->result.buffer, &state->result.md);
}

void tape_dropout_backward(onednn_tape *tape, int index)
{
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    tape_place leaving = tape_place_new(tape, &gradient.md);
    emit_mask(tape, PHASE_BACKWARD, index, &gradient, &leaving);
    tape_contribute(tape, tape->graph->nodes[index].inputs[0], &leaving, true);
}
