/* Constants that change their numbers while reading: casts, transpositions, and the four operations of arithmetic,
 * which turn a mark of an unknown size into "unknown".
 */
#include "model/onnx_fold.h"

#include <math.h>
#include <string.h>

mien_status onnx_fold_cast(onnx_reader *r, onnx_tensor *out)
{
    const onnx_tensor *data = NULL;
    mien_status status = onnx_constant(r, 0, &data);
    if (status)
        return status;
    int64_t to = onnx_attribute_int(r, "to", 0);
    *out = *data;
    out->whole = to == ONNX_INT64 || to == ONNX_INT32;
    if (!out->whole && to != ONNX_FLOAT && to != ONNX_DOUBLE && to != ONNX_FLOAT16)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "to element type %lld", (long long)to);
    if (out->whole == data->whole)
        return MIEN_OK;
    int64_t *ints = NULL;
    float *floats = NULL;
    status = onnx_fold_room(r, out, &ints, &floats);
    for (size_t i = 0; i < out->count && !status; i++) {
        if (floats)
            floats[i] = (float)data->ints[i];
        else if (fabsf(data->floats[i]) < 0x1p62f)
            ints[i] = (int64_t)data->floats[i];
        else
            status = onnx_fail(r, MIEN_EFORMAT, "a number that does not fit");
    }
    return status;
}

mien_status onnx_fold_transpose(onnx_reader *r, onnx_tensor *out)
{
    const onnx_tensor *data = NULL;
    mien_status status = onnx_constant(r, 0, &data);
    if (status)
        return status;
    int order[ONNX_MAX_RANK];
    for (int i = 0; i < data->rank; i++)
        order[i] = data->rank - 1 - i;
    status = onnx_attribute_ints(r, "perm", order, (size_t)data->rank);
    size_t step[ONNX_MAX_RANK], product = 1;
    for (int i = data->rank - 1; i >= 0; i--) {
        step[i] = product;
        product *= (size_t)data->dim[i];
    }
    *out = *data;
    unsigned seen = 0;
    for (int i = 0; i < data->rank && !status; i++) {
        if (order[i] < 0 || order[i] >= data->rank || (seen & 1u << order[i]))
            return onnx_fail(r, MIEN_EFORMAT, "perm is not a permutation");
        seen |= 1u << order[i];
        out->dim[i] = data->dim[order[i]];
    }
    int64_t *ints = NULL;
    float *floats = NULL;
    if (!status)
        status = onnx_fold_room(r, out, &ints, &floats);
    for (size_t i = 0; i < out->count && !status; i++) {
        size_t from = 0, rest = i;
        for (int axis = out->rank - 1; axis >= 0; axis--) {
            from += rest % (size_t)out->dim[axis] * step[order[axis]];
            rest /= (size_t)out->dim[axis];
        }
        if (ints)
            ints[i] = data->ints[from];
        else if (floats)
            floats[i] = data->floats[from];
    }
    return status;
}

/* What is taken along one axis: `count` places from `begin`, `step` apart. */
typedef struct cut {
    int64_t begin, step, count;
} cut;

/* Positions count from the end when negative and are clamped; backwards, the last one may be before the first. */
static cut cut_axis(int64_t size, int64_t begin, int64_t end, int64_t step)
{
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? size - 1 : size;
    begin = begin < -size ? low : begin < 0 ? begin + size : begin > high ? high : begin;
    end = end < -size ? low : end < 0 ? end + size : end > high ? high : end;
    int64_t length = step < 0 ? begin - end : end - begin, stride = step < 0 ? -step : step;
    return (cut){begin, step, length > 0 ? (length + stride - 1) / stride : 0};
}

static mien_status read_cuts(onnx_reader *r, const onnx_tensor *data, cut *cuts)
{
    static const char *const names[4] = {"starts", "ends", "axes", "steps"};
    const int64_t *lists[4] = {NULL};
    size_t counts[4] = {0};
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < 4 && !status; i++)
        status = onnx_list(r, names[i], i + 1, &lists[i], &counts[i]);
    for (int i = 0; i < data->rank; i++)
        cuts[i] = (cut){0, 1, data->dim[i]};
    if (!status &&
        (counts[1] != counts[0] || (counts[2] && counts[2] != counts[0]) || (counts[3] && counts[3] != counts[0])))
        return onnx_fail(r, MIEN_EFORMAT, "starts, ends, axes and steps do not go together");
    for (size_t i = 0; i < counts[0] && !status; i++) {
        int axis = 0;
        int64_t step = counts[3] ? lists[3][i] : 1;
        status = onnx_axis(r, counts[2] ? lists[2][i] : (int64_t)i, data->rank, &axis);
        if (!status && (step == 0 || step < -INT32_MAX || step > INT32_MAX))
            status = onnx_fail(r, MIEN_EFORMAT, "a step of %lld", (long long)step);
        if (!status)
            cuts[axis] = cut_axis(data->dim[axis], lists[0][i], lists[1][i], step);
    }
    return status;
}

mien_status onnx_fold_slice(onnx_reader *r, onnx_tensor *out)
{
    const onnx_tensor *data = NULL;
    cut cuts[ONNX_MAX_RANK];
    mien_status status = onnx_constant(r, 0, &data);
    if (!status)
        status = read_cuts(r, data, cuts);
    if (status)
        return status;
    const char *name = out->name;
    *out = *data;
    out->name = name;
    out->count = 1;
    for (int i = 0; i < data->rank; i++) {
        out->dim[i] = cuts[i].count;
        out->count *= (size_t)cuts[i].count; /* at most data->count */
    }
    int64_t *ints = NULL;
    float *floats = NULL;
    status = onnx_fold_room(r, out, &ints, &floats);
    for (size_t i = 0; i < out->count && !status; i++) {
        size_t from = 0, rest = i, step = 1;
        for (int axis = out->rank - 1; axis >= 0; axis--) {
            size_t size = (size_t)out->dim[axis];
            from += (size_t)(cuts[axis].begin + (int64_t)(rest % size) * cuts[axis].step) * step;
            rest /= size;
            step *= (size_t)data->dim[axis];
        }
        if (ints)
            ints[i] = data->ints[from];
        else if (floats)
            floats[i] = data->floats[from];
    }
    return status;
}

static bool is_mark(int64_t value)
{
    return value <= ONNX_DIM_UNKNOWN;
}

static int64_t whole_result(char op, int64_t a, int64_t b)
{
    int64_t result = ONNX_DIM_UNKNOWN;
    if (is_mark(a) || is_mark(b)) {
        if ((op == '*' || op == '/') && b == 1)
            return a;
        return op == '*' && a == 1 ? b : ONNX_DIM_UNKNOWN;
    }
    bool overflow = op == '+'   ? __builtin_add_overflow(a, b, &result)
                    : op == '-' ? __builtin_sub_overflow(a, b, &result)
                    : op == '*' ? __builtin_mul_overflow(a, b, &result)
                                : b == 0;
    if (overflow)
        return ONNX_DIM_UNKNOWN;
    return op == '/' ? a / b : result;
}

static float float_result(char op, float a, float b)
{
    return op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
}

static mien_status fold_binary(onnx_reader *r, char op, onnx_tensor *out)
{
    const onnx_tensor *a = NULL, *b = NULL;
    mien_status status = onnx_constant(r, 0, &a);
    if (!status)
        status = onnx_constant(r, 1, &b);
    if (status)
        return status;
    bool same = a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
    if (a->whole != b->whole || (!same && a->count != 1 && b->count != 1))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "constants of different shapes or types");
    const char *name = out->name;
    *out = a->count == 1 && (b->count != 1 || b->rank > a->rank) ? *b : *a;
    out->name = name;
    int64_t *ints = NULL;
    float *floats = NULL;
    status = onnx_fold_room(r, out, &ints, &floats);
    for (size_t i = 0; i < out->count && !status; i++) {
        size_t left = a->count == 1 ? 0 : i, right = b->count == 1 ? 0 : i;
        if (ints)
            ints[i] = whole_result(op, a->ints[left], b->ints[right]);
        else if (floats)
            floats[i] = float_result(op, a->floats[left], b->floats[right]);
    }
    return status;
}

mien_status onnx_fold_add(onnx_reader *r, onnx_tensor *out)
{
    return fold_binary(r, '+', out);
}

mien_status onnx_fold_sub(onnx_reader *r, onnx_tensor *out)
{
    return fold_binary(r, '-', out);
}

mien_status onnx_fold_mul(onnx_reader *r, onnx_tensor *out)
{
    return fold_binary(r, '*', out);
}

mien_status onnx_fold_div(onnx_reader *r, onnx_tensor *out)
{
    return fold_binary(r, '/', out);
}
