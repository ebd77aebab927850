/* Putting a tape together: buffers, steps, the forms a value exists in and the gradient it collects. See
 * nn/onednn_tape.h for the idea. */
#include "nn/onednn_tape.h"

#include "base/error.h"

#include <string.h>

void tape_fail(onednn_tape *tape, mien_status status)
{
    if (tape->failed)
        return;
    const nn_node *node = &tape->graph->nodes[tape->current];
    tape->failed = error_prefix(&tape->error, status, "node %.100s (%s)", node->name, nn_op_name(node->op));
}

/* Arrays live in the arena, so growing one means a copy twice as large; the old one goes with the arena. */
static void *grown(onednn_tape *tape, const void *array, int count, int *capacity, size_t size)
{
    if (count < *capacity)
        return (void *)array;
    int wanted = *capacity ? *capacity * 2 : 256;
    void *larger = memory_arena_take(&tape->arena, (size_t)wanted, size);
    if (!larger) {
        tape_fail(tape, error_no_memory(&tape->error, (size_t)wanted * size));
        return NULL;
    }
    if (count)
        memcpy(larger, array, (size_t)count * size);
    *capacity = wanted;
    return larger;
}

int tape_buffer_add(onednn_tape *tape, size_t bytes, bool fixed)
{
    if (tape->failed)
        return TAPE_NONE;
    void *array = grown(tape, tape->buffers, tape->buffer_count, &tape->buffer_capacity, sizeof(tape_buffer));
    if (!array)
        return TAPE_NONE;
    tape->buffers = array;
    tape->buffers[tape->buffer_count] = (tape_buffer){.bytes = bytes, .first = 0, .last = -1, .fixed = fixed};
    return tape->buffer_count++;
}

int tape_buffer_for(onednn_tape *tape, const dnnl_memory_desc_t *md, bool fixed)
{
    return tape_buffer_add(tape, dnnl_memory_desc_get_size(md), fixed);
}

static void touch(onednn_tape *tape, int buffer)
{
    tape_buffer *b = &tape->buffers[buffer];
    int now = tape->step_count - 1;
    if (b->last < b->first)
        b->first = now;
    b->last = now;
}

static tape_step *step_add(onednn_tape *tape, unsigned phase)
{
    if (tape->failed)
        return NULL;
    void *array = grown(tape, tape->steps, tape->step_count, &tape->step_capacity, sizeof(tape_step *));
    tape_step *step = array ? memory_arena_take(&tape->arena, 1, sizeof *step) : NULL;
    if (!step) {
        tape_fail(tape, error_no_memory(&tape->error, sizeof *step));
        return NULL;
    }
    tape->steps = array;
    step->phase = phase;
    tape->steps[tape->step_count++] = step;
    return step;
}

tape_step *tape_primitive(onednn_tape *tape, unsigned phase, const_dnnl_primitive_desc_t pd)
{
    tape_step *step = step_add(tape, phase);
    if (!step)
        return NULL;
    mien_status status = onednn_step_init(&step->primitive, pd, &tape->error);
    if (status) {
        tape_fail(tape, status);
        return NULL;
    }
    size_t bytes = onednn_scratch_bytes(pd);
    if (bytes) {
        tape_buffer *scratch = &tape->buffers[tape->scratch];
        scratch->bytes = bytes > scratch->bytes ? bytes : scratch->bytes;
        dnnl_memory_desc_t md = onednn_query(pd, dnnl_query_scratchpad_md, 0);
        tape_bind(tape, step, DNNL_ARG_SCRATCHPAD, &md, tape->scratch);
    }
    return tape->failed ? NULL : step;
}

static tape_operand *operand_add(onednn_tape *tape, tape_step *step)
{
    if (step->count < ONEDNN_MAX_ARGS)
        return &step->operands[step->count++];
    tape_fail(tape, error_set(&tape->error, MIEN_EUNSUPPORTED, "too many operands"));
    return NULL;
}

static void bind(onednn_tape *tape, tape_step *step, int arg, const dnnl_memory_desc_t *md, tape_operand operand)
{
    tape_operand *slot = operand_add(tape, step);
    if (!slot)
        return;
    mien_status status = onednn_memory(&tape->context, md, NULL, &operand.memory, &tape->error);
    if (!status) {
        *slot = operand;
        status = onednn_step_bind(&step->primitive, arg, operand.memory, &tape->error);
    }
    if (status)
        tape_fail(tape, status);
}

void tape_bind(onednn_tape *tape, tape_step *step, int arg, const dnnl_memory_desc_t *md, int buffer)
{
    if (tape->failed || !step)
        return;
    touch(tape, buffer);
    bind(tape, step, arg, md, (tape_operand){.buffer = buffer});
}

void tape_bind_external(onednn_tape *tape, tape_step *step, int arg, const dnnl_memory_desc_t *md, int array,
                        size_t offset)
{
    if (!tape->failed && step)
        bind(tape, step, arg, md, (tape_operand){.buffer = array, .offset = offset});
}

tape_step *tape_call(onednn_tape *tape, unsigned phase, tape_function *function)
{
    tape_step *step = step_add(tape, phase);
    if (step)
        step->function = function;
    return step;
}

void tape_use(onednn_tape *tape, tape_step *step, int buffer)
{
    if (tape->failed || !step)
        return;
    touch(tape, buffer);
    tape_operand *slot = operand_add(tape, step);
    if (slot)
        *slot = (tape_operand){.buffer = buffer};
}

void tape_use_external(onednn_tape *tape, tape_step *step, int array, size_t offset)
{
    if (tape->failed || !step)
        return;
    tape_operand *slot = operand_add(tape, step);
    if (slot)
        *slot = (tape_operand){.buffer = array, .offset = offset};
}

dnnl_primitive_desc_t tape_describe(onednn_tape *tape, const_dnnl_op_desc_t op, const_dnnl_primitive_attr_t attr,
                                    const_dnnl_primitive_desc_t hint)
{
    dnnl_primitive_desc_t pd = NULL;
    if (tape->failed)
        return NULL;
    mien_status status = onednn_describe(&tape->context, op, attr, hint, "training", &pd, &tape->error);
    if (!status)
        return pd;
    tape_fail(tape, status);
    return NULL;
}

dnnl_memory_desc_t tape_typed(const dnnl_memory_desc_t *md, dnnl_data_type_t type)
{
    dnnl_memory_desc_t typed = *md; /* strides count elements, so that the type can change alone */
    typed.data_type = type;
    return typed;
}

bool tape_padded(const dnnl_memory_desc_t *md)
{
    for (int i = 0; i < md->ndims; i++)
        if (md->padded_dims[i] != md->dims[i])
            return true;
    return false;
}

void tape_reorder(onednn_tape *tape, unsigned phase, const tape_place *from, const tape_place *to)
{
    if (tape->failed)
        return;
    dnnl_primitive_desc_t pd = NULL;
    mien_status status = onednn_describe_reorder(&tape->context, &from->md, &to->md, false, &pd, &tape->error);
    if (status) {
        tape_fail(tape, status);
        return;
    }
    tape_step *step = tape_primitive(tape, phase, pd);
    tape_bind(tape, step, DNNL_ARG_FROM, &from->md, from->buffer);
    tape_bind(tape, step, DNNL_ARG_TO, &to->md, to->buffer);
    dnnl_primitive_desc_destroy(pd);
}

tape_place tape_place_new(onednn_tape *tape, const dnnl_memory_desc_t *md)
{
    return (tape_place){tape_buffer_for(tape, md, false), *md};
}

/* Two layouts of [N,C,1,1] hold the same bytes when there are no padding lanes: every order of axes of size 1 is the
 * same, so a flatten after global pooling costs nothing. */
static bool same_bytes(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b)
{
    if (a->data_type != b->data_type || tape_padded(a) || tape_padded(b) || a->ndims != 4 || b->ndims != 4)
        return false;
    for (int i = 0; i < 4; i++)
        if (a->dims[i] != b->dims[i] || (i >= 2 && a->dims[i] != 1))
            return false;
    dnnl_dim_t count = a->dims[0] * a->dims[1];
    size_t bytes = (size_t)count * dnnl_data_type_size(a->data_type);
    return dnnl_memory_desc_get_size(a) == bytes && dnnl_memory_desc_get_size(b) == bytes &&
           a->format_desc.blocking.strides[0] == b->format_desc.blocking.strides[0];
}

tape_place tape_place_as(onednn_tape *tape, const tape_place *from, const dnnl_memory_desc_t *md, unsigned phase)
{
    if (tape->failed || dnnl_memory_desc_equal(&from->md, md))
        return *from;
    if (same_bytes(&from->md, md))
        return (tape_place){from->buffer, *md};
    tape_place to = tape_place_new(tape, md);
    tape_reorder(tape, phase, from, &to);
    return to;
}

void tape_set_value(onednn_tape *tape, int node, int buffer, const dnnl_memory_desc_t *md)
{
    tape_value *value = &tape->values[node];
    value->forms[0] = (tape_place){buffer, *md};
    value->form_count = 1;
}

tape_place tape_source_as(onednn_tape *tape, int node, const dnnl_memory_desc_t *md, unsigned phase)
{
    tape_value *value = &tape->values[node];
    for (int i = 0; i < value->form_count; i++)
        if (dnnl_memory_desc_equal(&value->forms[i].md, md))
            return value->forms[i];
    tape_place place = tape_place_as(tape, &value->forms[0], md, phase);
    if (!tape->failed && value->form_count < TAPE_MAX_FORMS)
        value->forms[value->form_count++] = place;
    return place;
}

tape_place tape_source(onednn_tape *tape, int node, unsigned phase)
{
    dnnl_memory_desc_t md = tape_typed(&tape->values[node].forms[0].md, tape->type);
    return tape_source_as(tape, node, &md, phase);
}

tape_place tape_source_plain(onednn_tape *tape, int node, unsigned phase)
{
    dnnl_memory_desc_t md = onednn_plain(&tape->shapes[node], tape->type);
    return tape_source_as(tape, node, &md, phase);
}

bool tape_gradient(onednn_tape *tape, int node, tape_place *gradient)
{
    tape_value *value = &tape->values[node];
    if (tape->failed || value->gradient.buffer == TAPE_NONE)
        return false;
    dnnl_memory_desc_t md = tape_typed(&value->forms[0].md, tape->type);
    *gradient = tape_place_as(tape, &value->gradient, &md, PHASE_BACKWARD);
    return !tape->failed;
}

void tape_contribute(onednn_tape *tape, int node, const tape_place *gradient, bool owned)
{
    tape_value *value = &tape->values[node];
    if (tape->failed || !tape->needs_gradient[node])
        return;
    if (value->gradient.buffer == TAPE_NONE) {
        value->gradient = *gradient;
        value->gradient_owned = owned;
        return;
    }
    dnnl_memory_desc_t md = tape_typed(&value->forms[0].md, tape->type);
    tape_place a = tape_place_as(tape, &value->gradient, &md, PHASE_BACKWARD);
    tape_place b = tape_place_as(tape, gradient, &md, PHASE_BACKWARD);
    bool a_owned = value->gradient_owned || a.buffer != value->gradient.buffer;
    bool b_owned = owned || b.buffer != gradient->buffer;
    tape_place sum = a_owned ? a : b_owned ? b : tape_place_new(tape, &md);
    tape_binary(tape, PHASE_BACKWARD, dnnl_binary_add, b_owned && !a_owned ? &b : &a, b_owned && !a_owned ? &a : &b,
                &sum);
    value->gradient = sum;
    value->gradient_owned = true;
}

static void copy_floats(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    memcpy(step->operands[1].data, step->operands[0].data, (size_t)step->size[0] * sizeof(float));
}

int tape_weight_plain(onednn_tape *tape, int weight)
{
    size_t count = tape->graph->weights[weight].count;
    int buffer = tape_buffer_add(tape, count * sizeof(float), true);
    tape_step *step = tape_call(tape, PHASE_PREPARE, copy_floats);
    tape_use_external(tape, step, TAPE_PARAMETERS, tape->offsets[weight]);
    tape_use(tape, step, buffer);
    if (step)
        step->size[0] = (int64_t)count;
    return buffer;
}

int tape_weight_as(onednn_tape *tape, int weight, const dnnl_memory_desc_t *plain, const dnnl_memory_desc_t *md)
{
    if (tape->failed)
        return TAPE_NONE;
    int buffer = tape_buffer_for(tape, md, true);
    dnnl_primitive_desc_t pd = NULL;
    mien_status status = onednn_describe_reorder(&tape->context, plain, md, false, &pd, &tape->error);
    if (status) {
        tape_fail(tape, status);
        return TAPE_NONE;
    }
    tape_step *step = tape_primitive(tape, PHASE_PREPARE, pd);
    tape_bind_external(tape, step, DNNL_ARG_FROM, plain, TAPE_PARAMETERS, tape->offsets[weight]);
    tape_bind(tape, step, DNNL_ARG_TO, md, buffer);
    dnnl_primitive_desc_destroy(pd);
    return buffer;
}

bool tape_trainable(const onednn_tape *tape, int weight)
{
    return weight >= 0 && (tape->graph->weights[weight].flags & NN_WEIGHT_TRAINABLE);
}

static void add_floats(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    const float *from = step->operands[0].data;
    float *to = step->operands[1].data;
    for (int64_t i = 0; i < step->size[0]; i++)
        to[i] += from[i];
}

void tape_add_gradient(onednn_tape *tape, int weight, int buffer)
{
    tape_step *step = tape_call(tape, PHASE_BACKWARD, add_floats);
    tape_use(tape, step, buffer);
    tape_use_external(tape, step, TAPE_GRADIENTS, tape->offsets[weight]);
    if (step)
        step->size[0] = (int64_t)tape->graph->weights[weight].count;
}

int tape_only_consumer(const onednn_tape *tape, int node, nn_op op)
{
    const nn_graph *graph = tape->graph;
    if (tape->consumers[node] != 1)
        return -1;
    for (int i = node + 1; i < graph->node_count; i++)
        if (tape->used[i] && graph->nodes[i].op == op && graph->nodes[i].inputs[0] == node)
            return i;
    return -1;
}
