/* GELU became an operator with set 20, layer normalisation with set 17; before, exporters wrote them out:
 *
 *     x · 1/2 · (1 + Erf(x / √2)),  x · 1/2 · (1 + Tanh(√(2/π) · (x + 0.044715 · x³)))
 *     d / Sqrt(ReduceMean(d²) + ε)  with d = x − ReduceMean(x)
 *
 * in any order of the factors and however the constants are shared out. The last node of such a group is turned into
 * the operator, and the others have no reader left. Found by what the group computes, not by its shape: a GELU is a
 * product of x and of a linear function of Erf (or Tanh) of a polynomial in x, and the numbers must be right.
 */
#include "model/onnx_reader.h"

#include <math.h>
#include <string.h>

enum { MOST_FACTORS = 4, MOST_TERMS = 6, DEGREE = 3 };

const char onnx_fused[] = "mien.fused";

static const double tolerance = 1e-3; /* the constants may have been rounded to sixteen bits */

static bool near(double value, double wanted)
{
    return fabs(value - wanted) <= tolerance * fmax(1, fabs(wanted));
}

/* ---- the file's nodes ---- */

static const char *input_of(const onnx_node *node, size_t index)
{
    return node && index < node->input_count ? node->inputs[index] : "";
}

static onnx_node *maker_of(const onnx_reader *r, const char *name)
{
    const onnx_value *value = *name ? onnx_find(r, name) : NULL;
    onnx_node *maker = value ? value->maker : NULL;
    bool known = maker && (!*maker->domain || !strcmp(maker->domain, "ai.onnx"));
    return known && !strcmp(maker->outputs[0], name) ? maker : NULL;
}

static bool is_op(const onnx_node *node, const char *op)
{
    return node && !strcmp(node->op, op);
}

/* The node that makes `name`, if it is that operator. */
static onnx_node *made_by(const onnx_reader *r, const char *name, const char *op)
{
    onnx_node *maker = maker_of(r, name);
    return is_op(maker, op) ? maker : NULL;
}

static const onnx_attribute *attribute_of(const onnx_node *node, const char *name)
{
    for (size_t i = 0; i < node->attribute_count; i++)
        if (!strcmp(node->attributes[i].name, name))
            return &node->attributes[i];
    return NULL;
}

/* The tensor of that name: the file's, or what a Constant node holds. */
static const onnx_tensor *tensor_of(const onnx_reader *r, const char *name)
{
    const onnx_value *value = *name ? onnx_find(r, name) : NULL;
    const onnx_node *constant = made_by(r, name, "Constant");
    const onnx_attribute *held = constant ? attribute_of(constant, "value") : NULL;
    const onnx_tensor *tensor = held ? held->tensor : value ? value->constant : NULL;
    return tensor && !tensor->unusable ? tensor : NULL;
}

static bool number_of(const onnx_reader *r, const char *name, double *number)
{
    const onnx_tensor *tensor = tensor_of(r, name);
    const onnx_node *constant = made_by(r, name, "Constant");
    const onnx_attribute *held = constant ? attribute_of(constant, "value_float") : NULL;
    if (held)
        *number = held->f;
    else if (tensor && tensor->count == 1)
        *number = tensor->whole ? (double)tensor->ints[0] : tensor->floats[0];
    return held || (tensor && tensor->count == 1);
}

/* ---- linear functions of a value ---- */

/* What a name stands for: scale · of + shift. */
typedef struct linear {
    const char *of;
    double scale, shift;
} linear;

/* One operation with a number taken off; false when the node is none. */
static bool peel_node(const onnx_reader *r, const onnx_node *node, linear *l)
{
    double number = 0;
    if (!node || node->input_count != 2)
        return false;
    bool second = number_of(r, node->inputs[1], &number);
    if (!second && !number_of(r, node->inputs[0], &number))
        return false;
    if (is_op(node, "Add")) {
        l->shift += l->scale * number;
    } else if (is_op(node, "Sub")) {
        l->shift += second ? -l->scale * number : l->scale * number;
        l->scale = second ? l->scale : -l->scale;
    } else if (is_op(node, "Mul")) {
        l->scale *= number;
    } else if (is_op(node, "Div") && second) {
        l->scale /= number;
    } else {
        return false;
    }
    l->of = node->inputs[second ? 0 : 1];
    return true;
}

/* Down to a value that somebody else reads as well, or that is no such function. */
static linear peel(const onnx_reader *r, const char *name)
{
    linear l = {name, 1, 0};
    for (int i = 0; i < MOST_FACTORS; i++) {
        const onnx_value *value = onnx_find(r, l.of);
        if (!value || value->uses != 1 || !peel_node(r, maker_of(r, l.of), &l))
            break;
    }
    return l;
}

/* ---- polynomials in a value ---- */

typedef struct polynomial {
    double of[DEGREE + 1]; /* Σ of[i]·xⁱ */
} polynomial;

static bool multiply(const polynomial *a, const polynomial *b, polynomial *product)
{
    *product = (polynomial){0};
    for (int i = 0; i <= DEGREE; i++)
        for (int k = 0; k <= DEGREE; k++) {
            double term = a->of[i] * b->of[k];
            if (i + k <= DEGREE)
                product->of[i + k] += term;
            else if (term != 0)
                return false;
        }
    return true;
}

static bool find_polynomial(const onnx_reader *r, const char *name, const char *x, int depth, polynomial *p);

static bool raise(const onnx_reader *r, const onnx_node *power, const char *x, int depth, polynomial *p)
{
    double exponent = 0;
    polynomial base, square;
    if (!number_of(r, power->inputs[1], &exponent) || !find_polynomial(r, power->inputs[0], x, depth, &base) ||
        !multiply(&base, &base, &square))
        return false;
    *p = square;
    return exponent == 2 || (exponent == 3 && multiply(&square, &base, p));
}

static bool combine(const onnx_reader *r, const onnx_node *node, const char *x, int depth, polynomial *p)
{
    polynomial a, b;
    if (!find_polynomial(r, node->inputs[0], x, depth, &a) || !find_polynomial(r, node->inputs[1], x, depth, &b))
        return false;
    if (is_op(node, "Mul"))
        return multiply(&a, &b, p);
    double sign = is_op(node, "Sub") ? -1 : 1;
    bool quotient = is_op(node, "Div");
    if (quotient && (b.of[1] != 0 || b.of[2] != 0 || b.of[3] != 0 || b.of[0] == 0))
        return false;
    for (int i = 0; i <= DEGREE; i++)
        p->of[i] = quotient ? a.of[i] / b.of[0] : a.of[i] + sign * b.of[i];
    return quotient || is_op(node, "Add") || is_op(node, "Sub");
}

static bool find_polynomial(const onnx_reader *r, const char *name, const char *x, int depth, polynomial *p)
{
    double number = 0;
    *p = (polynomial){0};
    if (!strcmp(name, x)) {
        p->of[1] = 1;
        return true;
    }
    if (number_of(r, name, &number)) {
        p->of[0] = number;
        return true;
    }
    const onnx_node *node = maker_of(r, name);
    if (!node || node->input_count != 2 || !depth)
        return false;
    return is_op(node, "Pow") ? raise(r, node, x, depth - 1, p) : combine(r, node, x, depth - 1, p);
}

/* ---- turning a group into its last node ---- */

/* The last node reads `x` and nothing else. */
static mien_status become(onnx_reader *r, onnx_node *last, const char *op, const char *x, onnx_attribute *attributes,
                          size_t count)
{
    const char **inputs = memory_arena_take(&r->arena, 1, sizeof *inputs);
    if (!inputs)
        return error_no_memory(r->error, sizeof *inputs);
    inputs[0] = x;
    onnx_find(r, x)->uses++;
    for (size_t i = 0; i < last->input_count; i++)
        if (*last->inputs[i])
            onnx_find(r, last->inputs[i])->uses--;
    last->op = op;
    last->inputs = inputs;
    last->input_count = 1;
    last->attributes = attributes;
    last->attribute_count = count;
    return MIEN_OK;
}

static onnx_attribute *attributes_new(onnx_reader *r, size_t count)
{
    onnx_attribute *attributes = memory_arena_take(&r->arena, count, sizeof *attributes);
    if (!attributes)
        error_no_memory(r->error, count * sizeof *attributes);
    for (size_t i = 0; attributes && i < count; i++)
        attributes[i] = (onnx_attribute){.text = ""};
    return attributes;
}

/* ---- GELU ---- */

static bool is_gelu_argument(const onnx_reader *r, const onnx_node *function, const char *x)
{
    polynomial p;
    if (!find_polynomial(r, input_of(function, 0), x, MOST_TERMS, &p) || !near(p.of[0], 0) || !near(p.of[2], 0))
        return false;
    double slope = is_op(function, "Erf") ? M_SQRT1_2 : M_2_SQRTPI * M_SQRT1_2;
    double cubic = is_op(function, "Erf") ? 0 : slope * 0.044715;
    return near(p.of[1], slope) && fabs(p.of[3] - cubic) <= tolerance * slope;
}

/* `product` times `scale`: a GELU of *x when its operands are x and 1 + Erf or Tanh, in either order. */
static const onnx_node *gelu_function(const onnx_reader *r, const onnx_node *product, double scale, const char **x)
{
    for (size_t i = 0; i < 2; i++) {
        linear left = peel(r, product->inputs[i]), right = peel(r, product->inputs[1 - i]);
        const onnx_node *function = made_by(r, right.of, "Erf");
        if (!function)
            function = made_by(r, right.of, "Tanh");
        if (!function || !*left.of || left.shift != 0 || !near(scale * left.scale * right.scale, 0.5) ||
            !near(scale * left.scale * right.shift, 0.5))
            continue;
        *x = left.of;
        if (is_gelu_argument(r, function, *x))
            return function;
    }
    return NULL;
}

static mien_status fuse_gelu(onnx_reader *r, onnx_node *last)
{
    linear l = {last->outputs[0], 1, 0};
    const onnx_node *product = last;
    const char *x = "";
    if ((!is_op(last, "Mul") && !is_op(last, "Div")) || last->input_count != 2)
        return MIEN_OK;
    if (peel_node(r, last, &l)) { /* a number: the product is further up */
        linear rest = peel(r, l.of);
        const onnx_value *value = onnx_find(r, rest.of);
        product = value && value->uses == 1 ? made_by(r, rest.of, "Mul") : NULL;
        l = (linear){rest.of, l.scale * rest.scale, rest.shift};
    } else if (!is_op(last, "Mul")) {
        return MIEN_OK;
    }
    if (!product || product->input_count != 2 || l.shift != 0)
        return MIEN_OK;
    const onnx_node *function = gelu_function(r, product, l.scale, &x);
    if (!function)
        return MIEN_OK;
    bool exact = is_op(function, "Erf");
    onnx_attribute *how = attributes_new(r, 1);
    if (!how)
        return MIEN_ENOMEM;
    how->name = "approximate";
    how->type = ONNX_ATTRIBUTE_TEXT;
    how->text = exact ? "none" : "tanh";
    return become(r, last, "Gelu", x, how, 1);
}

/* ---- layer normalisation ---- */

/* The mean of a value along one axis that is kept; false when the node is not that. */
static bool is_mean(const onnx_reader *r, const onnx_node *node, int64_t *axis)
{
    if (!is_op(node, "ReduceMean") || !node->input_count)
        return false;
    const onnx_attribute *axes = attribute_of(node, "axes"), *keep = attribute_of(node, "keepdims");
    const onnx_tensor *tensor = axes ? NULL : tensor_of(r, input_of(node, 1));
    bool one = axes ? axes->int_count == 1 : tensor && tensor->whole && tensor->count == 1;
    if (!one || (keep && !keep->i))
        return false;
    *axis = axes ? axes->ints[0] : tensor->ints[0];
    return true;
}

/* x − mean(x): gives x and the axis. */
static bool is_centred(const onnx_reader *r, const char *name, const char **x, int64_t *axis)
{
    const onnx_node *minus = made_by(r, name, "Sub");
    if (!minus || minus->input_count != 2)
        return false;
    *x = minus->inputs[0];
    const onnx_node *mean = maker_of(r, minus->inputs[1]);
    return is_mean(r, mean, axis) && **x && !strcmp(input_of(mean, 0), *x);
}

/* The square of x − mean(x) along that axis. */
static bool is_squared(const onnx_reader *r, const char *name, const char *x, int64_t axis)
{
    const onnx_node *square = maker_of(r, name);
    double exponent = 2;
    const char *of = "";
    int64_t along = 0;
    if (!square || square->input_count != 2)
        return false;
    bool power = is_op(square, "Pow") && number_of(r, square->inputs[1], &exponent) && exponent == 2;
    bool product = is_op(square, "Mul") && !strcmp(square->inputs[0], square->inputs[1]);
    return (power || product) && is_centred(r, square->inputs[0], &of, &along) && !strcmp(of, x) && along == axis;
}

/* √(variance + ε) */
static bool is_deviation(const onnx_reader *r, const char *name, const char *x, int64_t axis, double *epsilon)
{
    const onnx_node *root = maker_of(r, name);
    double exponent = 0;
    bool is_root =
        is_op(root, "Sqrt") || (is_op(root, "Pow") && number_of(r, input_of(root, 1), &exponent) && exponent == 0.5);
    const onnx_node *sum = is_root ? made_by(r, input_of(root, 0), "Add") : NULL;
    if (!sum || sum->input_count != 2)
        return false;
    size_t variance = number_of(r, sum->inputs[1], epsilon) ? 0 : 1;
    if (variance && !number_of(r, sum->inputs[0], epsilon))
        return false;
    const onnx_node *mean = maker_of(r, sum->inputs[variance]);
    int64_t along = 0;
    return is_mean(r, mean, &along) && along == axis && is_squared(r, mean->inputs[0], x, axis);
}

static mien_status fuse_layer_norm(onnx_reader *r, onnx_node *last)
{
    const char *x = "";
    int64_t axis = 0;
    double epsilon = 0;
    if (!is_op(last, "Div") || last->input_count != 2 || !is_centred(r, last->inputs[0], &x, &axis) ||
        !is_deviation(r, last->inputs[1], x, axis, &epsilon))
        return MIEN_OK;
    onnx_attribute *attributes = attributes_new(r, 2);
    if (!attributes)
        return MIEN_ENOMEM;
    attributes[0].name = "axis";
    attributes[0].type = ONNX_ATTRIBUTE_INT;
    attributes[0].i = axis;
    attributes[1].name = "epsilon";
    attributes[1].type = ONNX_ATTRIBUTE_FLOAT;
    attributes[1].f = (float)epsilon;
    last->domain = onnx_fused; /* one axis, which need not be the last, and no scale */
    return become(r, last, "LayerNormalization", x, attributes, 2);
}

/* ---- */

/* What nobody reads any more reads nothing: from the end, since readers come after what they read. */
static void forget_unread(onnx_reader *r)
{
    const onnx_document *d = r->document;
    for (size_t i = d->node_count; i-- > 0;) {
        const onnx_node *node = &d->nodes[i];
        bool read = false;
        for (size_t o = 0; o < node->output_count; o++)
            read = read || (*node->outputs[o] && onnx_find(r, node->outputs[o])->uses);
        for (size_t k = 0; k < node->input_count && !read; k++)
            if (*node->inputs[k])
                onnx_find(r, node->inputs[k])->uses--;
    }
}

mien_status onnx_fuse(onnx_reader *r)
{
    const onnx_document *d = r->document;
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < d->node_count && !status; i++) {
        onnx_node *node = &d->nodes[i];
        if (!node->output_count || !*node->outputs[0] || maker_of(r, node->outputs[0]) != node)
            continue;
        status = fuse_gelu(r, node);
        if (!status)
            status = fuse_layer_norm(r, node);
    }
    if (!status)
        forget_unread(r);
    return status;
}
