/* Training on oneDNN: creation of a tape from a graph, and running its steps. How a tape is put together stands in
 * nn/onednn_tape.h; the operators are in onednn_tape_<family>.c.
 *
 * Layouts are chosen by the convolutions and kept by everything after them; a reorder appears only where a neighbour
 * wants another one. In bf16 mode activations and their gradients are bf16, while parameters, their gradients,
 * normalisation statistics and the outputs stay f32. */
#include "nn/onednn_tape.h"

#include "base/error.h"

#include <string.h>

typedef struct tape_operator {
    void (*forward)(onednn_tape *tape, int node);
    void (*backward)(onednn_tape *tape, int node);
} tape_operator;

static const tape_operator operators[NN_OP_COUNT] = {
    [NN_CONV] = {tape_conv_forward, tape_conv_backward},
    [NN_DENSE] = {tape_dense_forward, tape_dense_backward},
    [NN_BATCH_NORM] = {tape_norm_forward, tape_norm_backward},
    [NN_SCALE_SHIFT] = {tape_channel_forward, tape_channel_backward},
    [NN_RELU] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_CLIP] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_LEAKY_RELU] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_ELU] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_SIGMOID] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_TANH] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_SWISH] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_HARD_SIGMOID] = {tape_channel_forward, tape_channel_backward},
    [NN_HARD_SWISH] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_GELU] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_GELU_TANH] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_SOFTPLUS] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_EXP] = {tape_eltwise_forward, tape_eltwise_backward},
    [NN_PRELU] = {tape_channel_forward, tape_channel_backward},
    [NN_MAX_POOL] = {tape_pool_forward, tape_pool_backward},
    [NN_AVG_POOL] = {tape_pool_forward, tape_pool_backward},
    [NN_GLOBAL_AVG_POOL] = {tape_pool_forward, tape_pool_backward},
    [NN_GLOBAL_MAX_POOL] = {tape_pool_forward, tape_pool_backward},
    [NN_ADD] = {tape_binary_forward, tape_binary_backward},
    [NN_SUB] = {tape_binary_forward, tape_binary_backward},
    [NN_MUL] = {tape_binary_forward, tape_binary_backward},
    [NN_DIV] = {tape_binary_forward, tape_binary_backward},
    [NN_CONCAT] = {tape_concat_forward, tape_concat_backward},
    [NN_FLATTEN] = {tape_alias_forward, tape_alias_backward},
    [NN_RESHAPE] = {tape_alias_forward, tape_alias_backward},
    [NN_IDENTITY] = {tape_alias_forward, tape_alias_backward},
    [NN_TRANSPOSE] = {tape_transpose_forward, tape_transpose_backward},
    [NN_SLICE] = {tape_window_forward, tape_window_backward},
    [NN_PAD] = {tape_window_forward, tape_window_backward},
    [NN_UPSAMPLE] = {tape_upsample_forward, tape_upsample_backward},
    [NN_SOFTMAX] = {tape_softmax_forward, tape_softmax_backward},
    [NN_DROPOUT] = {tape_dropout_forward, tape_dropout_backward},
};

static void *array_of(onednn_tape *tape, int count, size_t size)
{
    void *array = memory_arena_take(&tape->arena, (size_t)(count > 0 ? count : 1), size);
    if (!array && !tape->failed)
        tape->failed = error_no_memory(&tape->error, (size_t)count * size);
    return array;
}

static void count_consumers(onednn_tape *tape)
{
    const nn_graph *graph = tape->graph;
    for (int i = 0; i < graph->node_count; i++)
        for (int k = 0; tape->used[i] && k < graph->nodes[i].input_count; k++)
            tape->consumers[graph->nodes[i].inputs[k]]++;
    /* an output is seen from outside, which counts for two so that nothing is fused over it */
    for (int o = 0; o < graph->output_count; o++)
        tape->consumers[tape_output_node(graph, (size_t)o)] += 2;
}

static void take_arrays(onednn_tape *tape)
{
    const nn_graph *graph = tape->graph;
    int nodes = graph->node_count;
    tape->shapes = array_of(tape, nodes, sizeof *tape->shapes);
    tape->offsets = array_of(tape, graph->weight_count, sizeof *tape->offsets);
    tape->used = array_of(tape, nodes, sizeof *tape->used);
    tape->needs_gradient = array_of(tape, nodes, sizeof *tape->needs_gradient);
    tape->consumers = array_of(tape, nodes, sizeof *tape->consumers);
    tape->values = array_of(tape, nodes, sizeof *tape->values);
    tape->nodes = array_of(tape, nodes, sizeof *tape->nodes);
    tape->outputs = array_of(tape, graph->output_count, sizeof *tape->outputs);
    tape->output_gradients = array_of(tape, graph->output_count, sizeof *tape->output_gradients);
}

static void start_nodes(onednn_tape *tape)
{
    for (int i = 0; i < tape->graph->node_count; i++) {
        tape->values[i].gradient.buffer = TAPE_NONE;
        tape->nodes[i].fused = tape->nodes[i].fused_by = -1;
        tape->nodes[i].mean = tape->nodes[i].variance = tape->nodes[i].workspace = TAPE_NONE;
        for (int k = 0; k < 4; k++)
            tape->nodes[i].weights[k] = TAPE_NONE;
    }
    tape->scratch = tape_buffer_add(tape, 0, true);
}

/* The caller's images are plain f32; in bf16 mode they are converted once. */
static void input_forward(onednn_tape *tape, int node)
{
    dnnl_memory_desc_t md = onednn_plain(&tape->shapes[node], dnnl_f32);
    tape_place given = {tape_buffer_for(tape, &md, true), md};
    dnnl_memory_desc_t typed = tape_typed(&md, tape->type);
    tape_place place = tape_place_as(tape, &given, &typed, PHASE_FORWARD);
    tape_set_value(tape, node, place.buffer, &place.md);
    tape->input_buffer = given.buffer;
}

static void build_forward(onednn_tape *tape)
{
    const nn_graph *graph = tape->graph;
    for (int i = 0; i < graph->node_count && !tape->failed; i++) {
        tape->current = i;
        if (!tape->used[i])
            continue;
        if (graph->nodes[i].op == NN_INPUT)
            input_forward(tape, i);
        else if (tape->nodes[i].fused_by >= 0)
            tape->values[i] = tape->values[tape->nodes[i].fused_by];
        else
            operators[graph->nodes[i].op].forward(tape, i);
    }
    for (int o = 0; o < graph->output_count && !tape->failed; o++) {
        int node = tape->current = tape_output_node(graph, (size_t)o);
        dnnl_memory_desc_t md = onednn_plain(&tape->shapes[node], dnnl_f32);
        tape->outputs[o] = tape_source_as(tape, node, &md, PHASE_FORWARD);
        if (!tape->failed)
            tape->buffers[tape->outputs[o].buffer].fixed = true;
    }
}

static void build_backward(onednn_tape *tape)
{
    const nn_graph *graph = tape->graph;
    for (int o = 0; o < graph->output_count && !tape->failed; o++) {
        int node = tape->current = tape_output_node(graph, (size_t)o);
        dnnl_memory_desc_t md = onednn_plain(&tape->shapes[node], dnnl_f32);
        tape->output_gradients[o] = (tape_place){tape_buffer_for(tape, &md, true), md};
        tape_contribute(tape, node, &tape->output_gradients[o], false);
    }
    for (int i = graph->node_count - 1; i >= 0 && !tape->failed; i--) {
        tape->current = i;
        if (tape->used[i] && !tape->needs_gradient[i] && graph->nodes[i].op == NN_BATCH_NORM)
            tape_norm_report(tape, i);
        if (!tape->used[i] || !tape->needs_gradient[i] || graph->nodes[i].op == NN_INPUT)
            continue;
        if (tape->nodes[i].fused_by < 0) {
            operators[graph->nodes[i].op].backward(tape, i);
            continue;
        }
        tape_value *before = &tape->values[tape->nodes[i].fused_by];
        before->gradient = tape->values[i].gradient;
        before->gradient_owned = tape->values[i].gradient_owned;
    }
}

/* Buffers have addresses now: hand them to the primitives and the functions. */
static mien_status resolve(onednn_tape *tape, mien_error *error)
{
    for (int i = 0; i < tape->step_count; i++) {
        tape_step *step = tape->steps[i];
        for (int k = 0; k < step->count; k++) {
            tape_operand *operand = &step->operands[k];
            if (operand->buffer < 0)
                continue;
            operand->data = tape->buffers[operand->buffer].data;
            if (!operand->memory)
                continue;
            mien_status status =
                onednn_check(dnnl_memory_set_data_handle(operand->memory, operand->data), "laying out memory", error);
            if (status)
                return status;
        }
    }
    return MIEN_OK;
}

static void destroy(void *state)
{
    onednn_tape *tape = state;
    for (int i = 0; i < tape->step_count; i++) {
        tape_step *step = tape->steps[i];
        for (int k = 0; k < step->count; k++)
            if (step->operands[k].memory)
                dnnl_memory_destroy(step->operands[k].memory);
        onednn_step_done(&step->primitive);
    }
    for (int i = 0; tape->nodes && i < tape->graph->node_count; i++)
        if (tape->nodes[i].pd)
            dnnl_primitive_desc_destroy(tape->nodes[i].pd);
    onednn_context_done(&tape->context);
    memory_arena_done(&tape->arena);
    memory_free(tape->block);
    memory_free(tape);
}

/* oneDNN 2.6's kernels for SSE4.1 and AVX give wrong results for 1×1 convolutions of several images (half of the
 * channels come out wrong with 32 of them, three images and one thread). */
static mien_status check_processor(mien_error *error)
{
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(); /* 0 where there are no such levels */
    if (isa && (isa & dnnl_cpu_isa_avx2) != dnnl_cpu_isa_avx2)
        return error_set(error, MIEN_EUNSUPPORTED, "training needs a processor with AVX2");
    return MIEN_OK;
}

static mien_status build(onednn_tape *tape, const nn_tape_options *options, mien_error *error)
{
    mien_status status = check_processor(error);
    if (!status)
        status = onednn_context_init(&tape->context, error);
    if (status)
        return status;
    take_arrays(tape);
    if (!tape->failed) {
        status =
            nn_graph_shapes(tape->graph, options->microbatch, options->height, options->width, tape->shapes, error);
        if (status)
            return status;
        nn_parameters_layout(tape->graph, tape->offsets);
        tape_mark(tape->graph, tape->used, tape->needs_gradient);
        count_consumers(tape);
        start_nodes(tape);
        build_forward(tape);
        build_backward(tape);
    }
    if (tape->failed)
        return error_set(error, tape->failed, "%s", tape->error.message);
    status = tape_lay_out(tape, error);
    return status ? status : resolve(tape, error);
}

static mien_status create(const nn_graph *graph, const nn_tape_options *options, void **state, mien_error *error)
{
    onednn_tape *tape = memory_zeroed(1, sizeof *tape);
    if (!tape)
        return error_no_memory(error, sizeof *tape);
    tape->graph = graph;
    tape->type = options->precision == NN_BF16 ? dnnl_bf16 : dnnl_f32;
    int threads = onednn_threads(1);
    mien_status status = build(tape, options, error);
    onednn_threads(threads);
    if (status)
        destroy(tape);
    else
        *state = tape;
    return status;
}

/* The caller's arrays may lie elsewhere in each call. */
static mien_status point_to(tape_step *step, int array, const float *base, mien_error *error)
{
    for (int k = 0; k < step->count; k++) {
        tape_operand *operand = &step->operands[k];
        if (operand->buffer != array)
            continue;
        operand->data = (void *)(base + operand->offset);
        if (!operand->memory)
            continue;
        mien_status status =
            onednn_check(dnnl_memory_set_data_handle(operand->memory, operand->data), "pointing to an array", error);
        if (status)
            return status;
    }
    return MIEN_OK;
}

static mien_status run_phase(onednn_tape *tape, unsigned phase, int array, const float *base, mien_error *error)
{
    for (int i = 0; i < tape->step_count; i++) {
        tape_step *step = tape->steps[i];
        if (!(step->phase & phase))
            continue;
        mien_status status = base ? point_to(step, array, base, error) : MIEN_OK;
        if (!status && step->function)
            step->function(tape, step);
        else if (!status)
            status = onednn_step_run(&step->primitive, &tape->context, error);
        if (status)
            return status;
    }
    return MIEN_OK;
}

static mien_status forward(void *state, const float *parameters, bool fresh, bool training, uint64_t seed,
                           mien_error *error)
{
    onednn_tape *tape = state;
    int threads = onednn_threads(1);
    mien_status status = MIEN_OK;
    if (fresh || parameters != tape->parameters)
        status = run_phase(tape, PHASE_PREPARE, TAPE_PARAMETERS, parameters, error);
    tape->parameters = status ? NULL : parameters;
    tape->seed = seed;
    if (!status)
        status = run_phase(tape, training ? PHASE_TRAIN : PHASE_EVAL, TAPE_NONE, NULL, error);
    tape->trained = !status && training;
    onednn_threads(threads);
    return status;
}

static mien_status backward(void *state, const float *const *output_gradients, float *gradients, mien_error *error)
{
    onednn_tape *tape = state;
    if (!tape->trained)
        return error_set(error, MIEN_EINVAL, "backward without a training forward before it");
    tape->trained = false; /* gradients overwrite activations that nobody reads any more */
    for (int o = 0; o < tape->graph->output_count; o++) {
        tape_buffer *buffer = &tape->buffers[tape->output_gradients[o].buffer];
        if (output_gradients[o])
            memcpy(buffer->data, output_gradients[o], buffer->bytes);
        else
            memset(buffer->data, 0, buffer->bytes);
    }
    int threads = onednn_threads(1);
    mien_status status = run_phase(tape, PHASE_BACKWARD, TAPE_GRADIENTS, gradients, error);
    onednn_threads(threads);
    return status;
}

static float *input(void *state)
{
    onednn_tape *tape = state;
    return (float *)(void *)tape->buffers[tape->input_buffer].data;
}

static nn_shape output_shape(const void *state, size_t output)
{
    const onednn_tape *tape = state;
    return tape->shapes[tape_output_node(tape->graph, output)];
}

static const float *output(const void *state, size_t output)
{
    const onednn_tape *tape = state;
    return (const float *)(const void *)tape->buffers[tape->outputs[output].buffer].data;
}

const tape_backend tape_onednn = {create, destroy, input, output_shape, output, forward, backward};
