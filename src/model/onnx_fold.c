/* Arithmetic that can be done while reading. Exporters compute target shapes in the graph (Shape, Gather, Unsqueeze,
 * Concat, …) and transpose or cast weights there; all of that disappears here. The batch and open sizes are marks
 * (ONNX_DIM_…) that pass through moves and become "unknown" when calculated with.
 */
#include "model/onnx_fold.h"

#include "model/onnx_tensor.h"

#include <string.h>

enum { MOST_FOLDED = 1 << 24 }; /* numbers in one folded tensor */

typedef mien_status (*folder)(onnx_reader *r, onnx_tensor *out);

static mien_status short_of_memory(onnx_reader *r)
{
    return onnx_fail(r, MIEN_ELIMIT, "the constants need too much memory");
}

mien_status onnx_fold_room(onnx_reader *r, onnx_tensor *out, int64_t **ints, float **floats)
{
    if (out->count > MOST_FOLDED)
        return short_of_memory(r);
    *ints = NULL;
    *floats = NULL;
    void *block = memory_arena_take(&r->arena, out->count, out->whole ? sizeof **ints : sizeof **floats);
    if (!block)
        return short_of_memory(r);
    if (out->whole)
        out->ints = *ints = block;
    else
        out->floats = *floats = block;
    return MIEN_OK;
}

static void set_line(onnx_tensor *out, size_t count, bool whole)
{
    out->rank = 1;
    out->dim[0] = (int64_t)count;
    out->count = count;
    out->whole = whole;
}

static mien_status fold_constant(onnx_reader *r, onnx_tensor *out)
{
    const onnx_attribute *a;
    if ((a = onnx_attribute_find(r, "value")) && a->tensor) {
        const char *name = out->name;
        *out = *a->tensor;
        out->name = name;
        return MIEN_OK;
    }
    if ((a = onnx_attribute_find(r, "value_ints"))) {
        set_line(out, a->int_count, true);
        out->ints = a->ints;
    } else if ((a = onnx_attribute_find(r, "value_floats"))) {
        set_line(out, a->float_count, false);
        out->floats = a->floats;
    } else if ((a = onnx_attribute_find(r, "value_int"))) {
        *out = (onnx_tensor){.name = out->name, .count = 1, .whole = true, .ints = &a->i};
    } else if ((a = onnx_attribute_find(r, "value_float"))) {
        *out = (onnx_tensor){.name = out->name, .count = 1, .floats = &a->f};
    } else {
        return onnx_fail(r, MIEN_EUNSUPPORTED, "a constant that is neither a tensor nor numbers");
    }
    return MIEN_OK;
}

static mien_status fold_constant_of_shape(onnx_reader *r, onnx_tensor *out)
{
    const onnx_tensor *shape = NULL;
    mien_status status = onnx_constant(r, 0, &shape);
    if (status)
        return status;
    if (!shape->whole || shape->rank != 1 || shape->dim[0] > ONNX_MAX_RANK)
        return onnx_fail(r, MIEN_EFORMAT, "its input is not a shape");
    if (!onnx_tensor_shape(out, shape->ints, shape->count))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "a shape that is not known");
    const onnx_attribute *a = onnx_attribute_find(r, "value");
    const onnx_tensor *fill = a && a->tensor && a->tensor->count == 1 && !a->tensor->unusable ? a->tensor : NULL;
    out->whole = fill && fill->whole;
    int64_t *ints = NULL;
    float *floats = NULL;
    status = onnx_fold_room(r, out, &ints, &floats);
    for (size_t i = 0; i < out->count && !status; i++) {
        if (ints)
            ints[i] = fill->ints[0];
        else if (floats)
            floats[i] = fill ? fill->floats[0] : 0;
    }
    return status;
}

/* The only folded operator whose input may be an activation. */
static mien_status fold_shape(onnx_reader *r, onnx_tensor *out)
{
    onnx_value *value = onnx_input(r, 0);
    nn_shape shape = {0};
    if (value->kind == ONNX_VALUE_NHWC) {
        const int64_t *d = r->graph->nodes[value->node].shape.dim;
        shape = (nn_shape){4, {d[0], d[2], d[3], d[1]}};
    } else if (value->kind == ONNX_VALUE_CONSTANT) {
        shape.rank = value->constant->rank < NN_MAX_RANK ? value->constant->rank : NN_MAX_RANK;
        memcpy(shape.dim, value->constant->dim, sizeof shape.dim);
    } else {
        int node = 0;
        mien_status status = onnx_realise(r, value, &node);
        if (status)
            return status;
        shape = r->graph->nodes[node].shape;
    }
    if (onnx_attribute_find(r, "start") || onnx_attribute_find(r, "end"))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "part of a shape");
    set_line(out, (size_t)shape.rank, true);
    int64_t *ints = NULL;
    float *floats = NULL;
    mien_status status = onnx_fold_room(r, out, &ints, &floats);
    for (int i = 0; i < shape.rank && !status; i++)
        ints[i] = shape.dim[i] == NN_BATCH ? ONNX_DIM_BATCH : shape.dim[i] == NN_DYNAMIC ? ONNX_DIM_OPEN : shape.dim[i];
    return status;
}

/* Elements of a list, picked by a scalar or a list of positions. */
static mien_status fold_gather(onnx_reader *r, onnx_tensor *out)
{
    const onnx_tensor *data = NULL, *index = NULL;
    mien_status status = onnx_constant(r, 0, &data);
    if (!status)
        status = onnx_constant(r, 1, &index);
    if (status)
        return status;
    if (data->rank != 1 || !index->whole || index->rank > 1)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mien gathers from lists only");
    set_line(out, index->count, data->whole);
    out->rank = index->rank;
    int64_t *ints = NULL;
    float *floats = NULL;
    status = onnx_fold_room(r, out, &ints, &floats);
    for (size_t i = 0; i < out->count && !status; i++) {
        int at = 0;
        if (data->count > INT32_MAX)
            return short_of_memory(r);
        status = onnx_axis(r, index->ints[i], (int)data->count, &at);
        if (!status && ints)
            ints[i] = data->ints[at];
        else if (floats && !status)
            floats[i] = data->floats[at];
    }
    return status;
}

static mien_status fold_concat(onnx_reader *r, onnx_tensor *out)
{
    size_t count = 0;
    bool whole = false;
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < r->at->input_count && !status; i++) {
        const onnx_tensor *part = NULL;
        status = onnx_constant(r, i, &part);
        if (status)
            break;
        if (part->rank != 1 || (i && part->whole != whole) || !memory_sum(count, part->count, &count))
            return onnx_fail(r, MIEN_EUNSUPPORTED, "mien joins constant lists only");
        whole = part->whole;
    }
    set_line(out, count, whole);
    int64_t *ints = NULL;
    float *floats = NULL;
    if (!status)
        status = onnx_fold_room(r, out, &ints, &floats);
    size_t at = 0;
    for (size_t i = 0; i < r->at->input_count && !status; i++) {
        const onnx_tensor *part = NULL;
        status = onnx_constant(r, i, &part);
        for (size_t k = 0; k < part->count; k++, at++) {
            if (ints)
                ints[at] = part->ints[k];
            else if (floats)
                floats[at] = part->floats[k];
        }
    }
    return status;
}

/* ---- the same numbers in another shape or type ---- */

static mien_status fold_same(onnx_reader *r, onnx_tensor *out)
{
    const onnx_tensor *data = NULL;
    mien_status status = onnx_constant(r, 0, &data);
    if (!status)
        *out = *data; /* and its name: weights keep the one they are stored under */
    return status;
}

static mien_status fold_unsqueeze(onnx_reader *r, onnx_tensor *out)
{
    const int64_t *axes = NULL;
    size_t count = 0;
    mien_status status = fold_same(r, out);
    if (!status)
        status = onnx_list(r, "axes", 1, &axes, &count);
    if (status)
        return status;
    onnx_tensor in = *out;
    if (count + (size_t)in.rank > ONNX_MAX_RANK)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "more than %d axes", ONNX_MAX_RANK);
    bool fresh[ONNX_MAX_RANK] = {false};
    out->rank = in.rank + (int)count;
    for (size_t i = 0; i < count && !status; i++) {
        int axis = 0;
        status = onnx_axis(r, axes[i], out->rank, &axis);
        if (!status && fresh[axis])
            status = onnx_fail(r, MIEN_EFORMAT, "an axis is given twice");
        fresh[axis] = true;
    }
    for (int i = 0, from = 0; i < out->rank && !status; i++)
        out->dim[i] = fresh[i] ? 1 : in.dim[from++];
    return status;
}

static mien_status fold_squeeze(onnx_reader *r, onnx_tensor *out)
{
    mien_status status = fold_same(r, out);
    if (status)
        return status;
    const onnx_tensor in = *out;
    if (in.count != 1 && in.rank > 1 && (onnx_attribute_find(r, "axes") || onnx_input(r, 1)))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "axes of a constant");
    out->rank = 0;
    for (int i = 0; i < in.rank; i++) {
        if (in.dim[i] != 1)
            out->dim[out->rank++] = in.dim[i];
    }
    return MIEN_OK;
}

static mien_status fold_reshape(onnx_reader *r, onnx_tensor *out)
{
    const int64_t *dim = NULL;
    size_t rank = 0;
    mien_status status = fold_same(r, out);
    if (!status)
        status = onnx_list(r, "shape", 1, &dim, &rank);
    if (status)
        return status;
    size_t count = out->count, known = 1;
    int64_t target[ONNX_MAX_RANK];
    int open = -1;
    for (size_t i = 0; i < rank && i < ONNX_MAX_RANK; i++) {
        target[i] = dim[i] == 0 && (int)i < out->rank ? out->dim[i] : dim[i];
        if (target[i] == -1 && open < 0)
            open = (int)i;
        else if (target[i] < 1 || !memory_multiply(known, (size_t)target[i], &known))
            return onnx_fail(r, MIEN_EFORMAT, "a shape that does not fit its constant");
    }
    if (open >= 0)
        target[open] = (int64_t)(count / known);
    if (rank > ONNX_MAX_RANK || !onnx_tensor_shape(out, target, rank) || out->count != count)
        return onnx_fail(r, MIEN_EFORMAT, "a shape that does not fit its constant");
    return MIEN_OK;
}

/* ---- */

static folder find_folder(const char *op)
{
    static const struct {
        const char *op;
        folder fold;
    } table[] = {
        {"Constant", fold_constant},
        {"ConstantOfShape", fold_constant_of_shape},
        {"Shape", fold_shape},
        {"Gather", fold_gather},
        {"Concat", fold_concat},
        {"Slice", onnx_fold_slice},
        {"Identity", fold_same},
        {"Dropout", fold_same},
        {"Unsqueeze", fold_unsqueeze},
        {"Squeeze", fold_squeeze},
        {"Reshape", fold_reshape},
        {"Cast", onnx_fold_cast},
        {"Transpose", onnx_fold_transpose},
        {"Add", onnx_fold_add},
        {"Sub", onnx_fold_sub},
        {"Mul", onnx_fold_mul},
        {"Div", onnx_fold_div},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].op, op))
            return table[i].fold;
    }
    return NULL;
}

static bool all_constant(const onnx_reader *r)
{
    for (size_t i = 0; i < r->at->input_count; i++) {
        const onnx_value *value = onnx_input(r, i);
        if (value && value->kind != ONNX_VALUE_CONSTANT)
            return false;
    }
    return true;
}

mien_status onnx_fold(onnx_reader *r, bool *done)
{
    *done = false;
    folder fold = find_folder(r->at->op);
    bool is_constant = !strcmp(r->at->op, "Constant");
    if (!fold || (!is_constant && (!r->at->input_count || !onnx_input(r, 0))))
        return MIEN_OK;
    if (strcmp(r->at->op, "Shape") && !all_constant(r))
        return MIEN_OK;
    onnx_tensor *out = memory_arena_take(&r->arena, 1, sizeof *out);
    if (!out)
        return short_of_memory(r);
    out->name = r->at->outputs[0];
    mien_status status = fold(r, out);
    if (status)
        return status;
    onnx_value *value = onnx_find(r, r->at->outputs[0]);
    value->kind = ONNX_VALUE_CONSTANT;
    value->constant = out;
    *done = true;
    return MIEN_OK;
}
