/* TensorProto stores numbers either raw (little-endian, packed) or in one of several typed lists; float16 hides in the
 * int32 list. Networks here compute in f32 and shapes in int64, so every type ends as one of these two.
 */
#include "model/onnx_tensor.h"

#include <string.h>

bool onnx_tensor_shape(onnx_tensor *tensor, const int64_t *dim, size_t rank)
{
    if (rank > ONNX_MAX_RANK)
        return false;
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) {
        if (dim[i] < 0 || dim[i] > INT32_MAX || !memory_multiply(count, (size_t)dim[i], &count))
            return false;
        tensor->dim[i] = dim[i];
    }
    tensor->rank = (int)rank;
    tensor->count = count;
    return true;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE binary16: sign 1, exponent 5 (bias 15), fraction 10. */
static float from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 1023;
    if (exponent == 31)
        return from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent)
        return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f;
    return sign ? -tiny : tiny;
}

static size_t element_size(int type)
{
    switch (type) {
    case ONNX_UINT8:
    case ONNX_INT8:
    case ONNX_BOOL:
        return 1;
    case ONNX_FLOAT16:
    case ONNX_BFLOAT16:
        return 2;
    case ONNX_FLOAT:
    case ONNX_INT32:
        return 4;
    case ONNX_INT64:
    case ONNX_DOUBLE:
        return 8;
    default:
        return 0;
    }
}

static uint64_t raw_bits(const uint8_t *raw, size_t size)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++)
        bits |= (uint64_t)raw[i] << (8 * i);
    return bits;
}

static float float_at(int type, const onnx_storage *s, size_t i)
{
    size_t size = element_size(type);
    if (type == ONNX_DOUBLE) {
        double value;
        if (!s->raw)
            return (float)s->doubles[i];
        uint64_t bits = raw_bits(s->raw + i * size, size);
        memcpy(&value, &bits, sizeof value);
        return (float)value;
    }
    if (type == ONNX_FLOAT)
        return s->raw ? from_bits((uint32_t)raw_bits(s->raw + i * size, size)) : s->floats[i];
    uint16_t bits = s->raw ? (uint16_t)raw_bits(s->raw + i * size, size) : (uint16_t)s->narrow[i];
    return type == ONNX_FLOAT16 ? from_half(bits) : from_bits((uint32_t)bits << 16);
}

static int64_t whole_at(int type, const onnx_storage *s, size_t i)
{
    if (!s->raw)
        return type == ONNX_INT64 ? s->wide[i] : s->narrow[i];
    size_t size = element_size(type);
    uint64_t bits = raw_bits(s->raw + i * size, size);
    if (type == ONNX_INT8)
        return (int8_t)bits;
    if (type == ONNX_INT32)
        return (int32_t)bits;
    return (int64_t)bits;
}

static bool is_floating(int type)
{
    return type == ONNX_FLOAT || type == ONNX_DOUBLE || type == ONNX_FLOAT16 || type == ONNX_BFLOAT16;
}

/* How many numbers the storage holds for this type, when they are not raw. */
static size_t listed(int type, const onnx_storage *s)
{
    if (type == ONNX_FLOAT)
        return s->float_count;
    if (type == ONNX_DOUBLE)
        return s->double_count;
    return type == ONNX_INT64 ? s->wide_count : s->narrow_count;
}

static const char *fault(const onnx_tensor *tensor, int type, const onnx_storage *s, mien_status *why)
{
    size_t size = element_size(type), bytes;
    *why = MIEN_EUNSUPPORTED;
    if (!size)
        return "has an element type that mien does not read";
    *why = MIEN_EFORMAT;
    if (!memory_multiply(tensor->count, size, &bytes) ||
        (s->raw ? s->raw_length != bytes : listed(type, s) != tensor->count))
        return "does not hold as many numbers as its shape says";
    return NULL;
}

/* Whether raw f32 can be used where it lies, as it nearly always can. */
static bool is_native(const uint8_t *raw)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && (uintptr_t)raw % _Alignof(float) == 0;
}

bool onnx_tensor_load(onnx_tensor *tensor, int type, const onnx_storage *storage, memory_arena *arena)
{
    tensor->unusable = fault(tensor, type, storage, &tensor->why);
    tensor->whole = !is_floating(type);
    if (tensor->unusable)
        return true;
    if (tensor->whole) {
        int64_t *ints = memory_arena_take(arena, tensor->count, sizeof *ints);
        for (size_t i = 0; ints && i < tensor->count; i++)
            ints[i] = whole_at(type, storage, i);
        tensor->ints = ints;
        return ints != NULL;
    }
    if (type == ONNX_FLOAT && (!storage->raw || is_native(storage->raw))) {
        tensor->floats = storage->raw ? (const float *)(const void *)storage->raw : storage->floats;
        return true;
    }
    float *floats = memory_arena_take(arena, tensor->count, sizeof *floats);
    for (size_t i = 0; floats && i < tensor->count; i++)
        floats[i] = float_at(type, storage, i);
    tensor->floats = floats;
    return floats != NULL;
}
