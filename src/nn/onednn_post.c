/* Posts: what a primitive does to each result before it stores it. An addition whose operand nobody needs afterwards is
 * a sum into the operand's own bytes (one read, no extra buffer); other arithmetic is a binary post; per-channel maps
 * are a binary multiply and add with constants. Whatever a primitive refuses is emitted as operations of its own. */
#include "nn/onednn_build.h"

#include <string.h>

bool onednn_eltwise(nn_op op, float alpha, float beta, dnnl_alg_kind_t *kind, float *a, float *b)
{
    *a = *b = 0;
    switch (op) {
    case NN_LEAKY_RELU:
        *a = alpha;
        /* fall through */
    case NN_RELU:
        *kind = dnnl_eltwise_relu;
        return true;
    case NN_CLIP:
        *kind = dnnl_eltwise_clip;
        *a = alpha;
        *b = beta;
        return true;
    case NN_ELU:
        *kind = dnnl_eltwise_elu;
        *a = alpha;
        return true;
    case NN_SIGMOID:
        *kind = dnnl_eltwise_logistic;
        return true;
    case NN_TANH:
        *kind = dnnl_eltwise_tanh;
        return true;
    case NN_SWISH:
        *kind = dnnl_eltwise_swish;
        *a = 1;
        return true;
    case NN_HARD_SIGMOID: /* and a clip to 0..1 after it */
        *kind = dnnl_eltwise_linear;
        *a = alpha;
        *b = beta;
        return true;
    case NN_HARD_SWISH:
        *kind = dnnl_eltwise_hardswish;
        return true;
    case NN_GELU:
        *kind = dnnl_eltwise_gelu_erf;
        return true;
    case NN_GELU_TANH:
        *kind = dnnl_eltwise_gelu_tanh;
        return true;
    case NN_SOFTPLUS:
        *kind = dnnl_eltwise_soft_relu;
        return true;
    case NN_EXP:
        *kind = dnnl_eltwise_exp;
        return true;
    default:
        return false;
    }
}

static dnnl_alg_kind_t binary_kind(nn_op op)
{
    return op == NN_ADD   ? dnnl_binary_add
           : op == NN_SUB ? dnnl_binary_sub
           : op == NN_MUL ? dnnl_binary_mul
                          : dnnl_binary_div;
}

static bool add_unary(const plan_post *post, onednn_posts *posts)
{
    dnnl_alg_kind_t kind;
    float a, b;
    if (!onednn_eltwise(post->op, post->alpha, post->beta, &kind, &a, &b))
        return false;
    if (dnnl_post_ops_append_eltwise(posts->ops, 1, kind, a, b))
        return false;
    return post->op != NN_HARD_SIGMOID || !dnnl_post_ops_append_eltwise(posts->ops, 1, dnnl_eltwise_clip, 0, 1);
}

bool onednn_posts_binary(onednn_plan *plan, dnnl_alg_kind_t kind, int tensor, onednn_posts *posts)
{
    if (tensor < 0 || posts->bind_count >= ONEDNN_MAX_ARGS)
        return false;
    int arg = DNNL_ARG_ATTR_MULTIPLE_POST_OP(dnnl_post_ops_len(posts->ops)) | DNNL_ARG_SRC_1;
    posts->binds[posts->bind_count++] = (onednn_bind){arg, tensor};
    return !dnnl_post_ops_append_binary(posts->ops, kind, &onednn_tensor_at(plan, tensor)->md);
}

static bool add_affine(onednn_plan *plan, const plan_step *step, const plan_post *post, onednn_posts *posts)
{
    const nn_shape *shape = onednn_shape(plan, step->output);
    if (post->scale &&
        !onednn_posts_binary(plan, dnnl_binary_mul,
                             onednn_tensor_constant(plan, post->scale, shape->dim[1], shape->rank), posts))
        return false;
    return !post->shift ||
           onednn_posts_binary(plan, dnnl_binary_add,
                               onednn_tensor_constant(plan, post->shift, shape->dim[1], shape->rank), posts);
}

/* The step reads the value once only, so that its bytes may become the result's. */
bool onednn_reads_once(const plan_step *step, int value)
{
    int reads = 0;
    for (int i = 0; i < step->node.input_count; i++)
        reads += step->node.inputs[i] == value;
    for (int p = 0; p < step->post_count; p++)
        reads += step->posts[p].value == value;
    return reads == 1;
}

static bool add_arithmetic(onednn_plan *plan, const plan_step *step, const plan_post *post,
                           const dnnl_memory_desc_t *dst, bool sum, onednn_posts *posts)
{
    const nn_shape *shape = onednn_shape(plan, post->value), *whole = onednn_shape(plan, step->output);
    if (!nn_shape_equal(shape, whole))
        return onednn_posts_binary(plan, binary_kind(post->op), onednn_value_plain(plan, post->value, true), posts);
    int tensor = onednn_value_as(plan, post->value, dst);
    bool dies = onednn_value_dies(plan, post->value) && onednn_reads_once(step, post->value);
    if (post->op == NN_ADD && sum && dies && posts->sum_tensor < 0) {
        posts->sum_tensor = tensor;
        return !dnnl_post_ops_append_sum(posts->ops, 1);
    }
    return onednn_posts_binary(plan, binary_kind(post->op), tensor, posts);
}

bool onednn_posts_init(onednn_plan *plan, const plan_step *step, int count, const dnnl_memory_desc_t *dst, bool sum,
                       onednn_posts *posts)
{
    *posts = (onednn_posts){.sum_tensor = -1};
    bool good = !dnnl_primitive_attr_clone(&posts->attr, plan->context.attr) && !dnnl_post_ops_create(&posts->ops);
    for (int i = 0; i < count && good; i++) {
        const plan_post *post = &step->posts[i];
        if (post->value >= 0)
            good = add_arithmetic(plan, step, post, dst, sum, posts);
        else if (post->op == NN_SCALE_SHIFT)
            good = add_affine(plan, step, post, posts);
        else
            good = add_unary(post, posts);
    }
    good = good && !dnnl_primitive_attr_set_post_ops(posts->attr, posts->ops);
    if (!good)
        onednn_posts_done(posts);
    return good;
}

void onednn_posts_done(onednn_posts *posts)
{
    if (posts->ops)
        dnnl_post_ops_destroy(posts->ops);
    if (posts->attr)
        dnnl_primitive_attr_destroy(posts->attr);
    posts->ops = NULL;
    posts->attr = NULL;
}

void onednn_posts_bind(onednn_plan *plan, int operation, const onednn_posts *posts)
{
    for (int i = 0; i < posts->bind_count; i++)
        onednn_bind_tensor(plan, operation, posts->binds[i].arg, posts->binds[i].tensor);
}

/* The same numbers row-major: a blocked layout whose last block is padded has fast kernels only for functions that
 * leave zero alone. -1 when it is that already. */
static int plain_copy(onednn_plan *plan, int tensor)
{
    onednn_tensor from = *onednn_tensor_at(plan, tensor);
    nn_shape shape = {.rank = from.md.ndims};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = from.md.dims[i];
    dnnl_memory_desc_t md = onednn_plain(&shape, from.md.data_type);
    return dnnl_memory_desc_equal(&md, &from.md) ? -1 : onednn_tensor_as(plan, tensor, &md, from.scale);
}

static int emit_binary(onednn_plan *plan, dnnl_alg_kind_t kind, const char *name, int tensor, int operand);

/* Once more with both operands row-major, or the end of it. */
static int emit_plain_binary(onednn_plan *plan, dnnl_alg_kind_t kind, const char *name, int tensor, int operand)
{
    bool whole = dnnl_memory_desc_equal(&onednn_tensor_at(plan, operand)->md, &onednn_tensor_at(plan, tensor)->md);
    int plain = plain_copy(plan, tensor), other = plain >= 0 && whole ? plain_copy(plan, operand) : -1;
    if (plain >= 0 && !plan->failed)
        return emit_binary(plan, kind, name, plain, other >= 0 ? other : operand);
    onednn_fail(plan, MIEN_EUNSUPPORTED, "arithmetic in this layout");
    return -1;
}

/* tensor ∘ operand, in place: the tensor is an intermediate that nobody else knows. */
static int emit_binary(onednn_plan *plan, dnnl_alg_kind_t kind, const char *name, int tensor, int operand)
{
    if (plan->failed || tensor < 0 || operand < 0)
        return -1;
    dnnl_memory_desc_t md = onednn_tensor_at(plan, tensor)->md;
    dnnl_binary_desc_t desc;
    dnnl_status_t status = dnnl_binary_desc_init(&desc, kind, &md, &onednn_tensor_at(plan, operand)->md, &md);
    dnnl_primitive_desc_t pd = status ? NULL : onednn_try(plan, &desc, NULL);
    if (!pd)
        return emit_plain_binary(plan, kind, name, tensor, operand);
    int operation = onednn_emit(plan, pd, name);
    int result = onednn_tensor_reuse(plan, tensor, &md);
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC_0, tensor);
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC_1, operand);
    onednn_bind_tensor(plan, operation, DNNL_ARG_DST, result);
    return result;
}

static int emit_affine(onednn_plan *plan, const plan_post *post, const char *name, int tensor)
{
    if (plan->failed || tensor < 0)
        return -1;
    const dnnl_memory_desc_t *md = &onednn_tensor_at(plan, tensor)->md;
    int64_t channels = md->dims[1];
    int rank = md->ndims;
    if (post->scale)
        tensor =
            emit_binary(plan, dnnl_binary_mul, name, tensor, onednn_tensor_constant(plan, post->scale, channels, rank));
    if (post->shift)
        tensor =
            emit_binary(plan, dnnl_binary_add, name, tensor, onednn_tensor_constant(plan, post->shift, channels, rank));
    return tensor;
}

static int emit_eltwise(onednn_plan *plan, dnnl_alg_kind_t kind, float a, float b, const char *name, int tensor,
                        bool dies)
{
    if (plan->failed || tensor < 0)
        return -1;
    dnnl_memory_desc_t md = onednn_tensor_at(plan, tensor)->md;
    dnnl_eltwise_desc_t desc;
    dnnl_status_t status = dnnl_eltwise_forward_desc_init(&desc, dnnl_forward_inference, kind, &md, a, b);
    dnnl_primitive_desc_t pd = status ? NULL : onednn_try(plan, &desc, NULL);
    int plain = pd ? -1 : plain_copy(plan, tensor);
    if (plain >= 0)
        return emit_eltwise(plan, kind, a, b, name, plain, true);
    if (!pd) {
        onednn_fail(plan, MIEN_EUNSUPPORTED, "an activation in this layout");
        return -1;
    }
    int operation = onednn_emit(plan, pd, name);
    int result = dies ? onednn_tensor_reuse(plan, tensor, &md) : onednn_tensor_new(plan, &md);
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC, tensor);
    onednn_bind_tensor(plan, operation, DNNL_ARG_DST, result);
    return result;
}

int onednn_emit_unary(onednn_plan *plan, const plan_post *post, const char *name, int tensor, bool dies)
{
    dnnl_alg_kind_t kind;
    float a, b;
    if (!onednn_eltwise(post->op, post->alpha, post->beta, &kind, &a, &b)) {
        onednn_fail(plan, MIEN_EINTERNAL, "not a pointwise operator");
        return -1;
    }
    int result = emit_eltwise(plan, kind, a, b, name, tensor, dies);
    if (post->op == NN_HARD_SIGMOID)
        result = emit_eltwise(plan, dnnl_eltwise_clip, 0, 1, name, result, true);
    return result;
}

int onednn_emit_posts(onednn_plan *plan, const plan_step *step, int from, int tensor)
{
    for (int i = from; i < step->post_count && !plan->failed; i++) {
        const plan_post *post = &step->posts[i];
        if (post->op == NN_SCALE_SHIFT) {
            tensor = emit_affine(plan, post, step->node.name, tensor);
        } else if (post->value < 0) {
            tensor = onednn_emit_unary(plan, post, step->node.name, tensor, true);
        } else {
            bool same = nn_shape_equal(onednn_shape(plan, post->value), onednn_shape(plan, step->output));
            int operand = same ? onednn_value_as(plan, post->value, &onednn_tensor_at(plan, tensor)->md)
                               : onednn_value_plain(plan, post->value, true);
            tensor = emit_binary(plan, binary_kind(post->op), step->node.name, tensor, operand);
        }
    }
    return plan->failed ? -1 : tensor;
}
