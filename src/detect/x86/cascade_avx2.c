/* The cascade's kernels with AVX2: a group of sixteen windows is two registers. The method is that of the AVX-512
 * version; two groups at once are what sixteen registers hold. */
#include <immintrin.h>

#include "detect/cascade_kernels.h"

enum { AVX2_PACK = 2, AVX2_LANES = 8 };

static inline __m256i load(const void *from)
{
    return _mm256_loadu_si256(from);
}

static void blend_avx2(const uint8_t *row0, const uint8_t *row1, unsigned weight, size_t count, uint16_t *to)
{
    const __m256i low = _mm256_set1_epi16((short)(256 - weight)), high = _mm256_set1_epi16((short)weight);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i a = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(row0 + i)));
        __m256i b = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(row1 + i)));
        __m256i sum = _mm256_add_epi16(_mm256_mullo_epi16(a, low), _mm256_mullo_epi16(b, high));
        _mm256_storeu_si256((void *)(to + i), sum);
    }
    for (; i < count; i++)
        to[i] = (uint16_t)(row0[i] * (256 - weight) + row1[i] * weight);
}

static void shrink_avx2(const uint16_t *from, const uint32_t *at, const uint32_t *weights, size_t count, uint8_t *to)
{
    const __m256i bias = _mm256_set1_epi16((short)0x8000), back = _mm256_set1_epi32((256 << 15) + (1 << 15));
    size_t i = 0;
    for (; i + AVX2_LANES <= count; i += AVX2_LANES) {
        __m256i pair = _mm256_i32gather_epi32((const int *)(const void *)from, load(at + i), 2);
        __m256i sum = _mm256_madd_epi16(_mm256_xor_si256(pair, bias), load(weights + i));
        sum = _mm256_srli_epi32(_mm256_add_epi32(sum, back), 16);
        __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        _mm_storel_epi64((void *)(to + i), _mm_packus_epi16(words, words));
    }
    for (; i < count; i++) {
        uint32_t low = weights[i] & 0xffff, high = weights[i] >> 16;
        to[i] = (uint8_t)((from[at[i]] * low + from[at[i] + 1] * high + (1u << 15)) >> 16);
    }
}

/* Eight running sums: two shifted additions within each half, then the lower half's total to the upper one. */
static inline __m256i prefix(__m256i v)
{
    v = _mm256_add_epi32(v, _mm256_slli_si256(v, 4));
    v = _mm256_add_epi32(v, _mm256_slli_si256(v, 8));
    __m256i total = _mm256_shuffle_epi32(v, 0xff);
    return _mm256_add_epi32(v, _mm256_permute2x128_si256(total, total, 0x08));
}

static inline __m256i last_lane(__m256i v)
{
    return _mm256_permutevar8x32_epi32(v, _mm256_set1_epi32(7));
}

static inline void store_sum(int32_t *to, const int32_t *above, __m256i line)
{
    _mm256_storeu_si256((void *)to, _mm256_add_epi32(load(above), line));
}

/* Sixteen running sums to columns x+1 … x+16. */
static inline void store_line(int32_t *to, const int32_t *above, size_t x, size_t half, __m256i first, __m256i second)
{
    if (!half) {
        store_sum(to + x + 1, above + x + 1, first);
        store_sum(to + x + 9, above + x + 9, second);
        return;
    }
    size_t at = x >> 1;
    __m256 a = _mm256_castsi256_ps(first), b = _mm256_castsi256_ps(second);
    __m256i odd = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)), 0xd8);
    __m256i even = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd)), 0xd8);
    store_sum(to + half + at, above + half + at, odd);
    store_sum(to + at + 1, above + at + 1, even);
}

/* The last sixteen pixels may reach beyond the row: what they leave beyond it is not used. */
static void integral_avx2(const uint8_t *pixels, size_t width, size_t half, const int32_t *sum_above, int32_t *sum,
                          const int32_t *square_above, int32_t *square)
{
    __m256i line = _mm256_setzero_si256(), squares = line;
    sum[0] = square[0] = 0;
    for (size_t x = 0; x < width; x += 16) {
        __m128i bytes = _mm_loadu_si128((const void *)(pixels + x));
        __m256i a = _mm256_cvtepu8_epi32(bytes), b = _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8));
        __m256i aa = prefix(_mm256_madd_epi16(a, a)), bb = prefix(_mm256_madd_epi16(b, b));
        a = _mm256_add_epi32(prefix(a), line);
        b = _mm256_add_epi32(prefix(b), last_lane(a));
        aa = _mm256_add_epi32(aa, squares);
        bb = _mm256_add_epi32(bb, last_lane(aa));
        line = last_lane(b);
        squares = last_lane(bb);
        store_line(sum, sum_above, x, half, a, b);
        store_line(square, square_above, x, half, aa, bb);
    }
}

static inline __m128i inner_sum(const int32_t *p, const int32_t at[4])
{
    __m128i top = _mm_sub_epi32(_mm_loadu_si128((const void *)(p + at[0])), _mm_loadu_si128((const void *)(p + at[1])));
    __m128i bottom =
        _mm_sub_epi32(_mm_loadu_si128((const void *)(p + at[3])), _mm_loadu_si128((const void *)(p + at[2])));
    return _mm_add_epi32(top, bottom);
}

/* Unsigned to double: the number is put into the low bits of 2⁵², which is then taken off. */
static inline __m256d from_unsigned(__m128i v)
{
    const __m256i big = _mm256_set1_epi64x(0x4330000000000000);
    __m256i bits = _mm256_or_si256(_mm256_cvtepu32_epi64(v), big);
    return _mm256_sub_pd(_mm256_castsi256_pd(bits), _mm256_castsi256_pd(big));
}

/* Four windows: 1/sqrt(area × squares - sum²), each operation rounded as in plain C. Returns those to be looked at. */
static inline unsigned variance4(const cascade_table *table, const int32_t *sum, const int32_t *square, float *scale)
{
    const __m256d one = _mm256_set1_pd(1);
    __m256d s = _mm256_cvtepi32_pd(inner_sum(sum, table->inner)), q = from_unsigned(inner_sum(square, table->inner));
    __m256d nf = _mm256_sub_pd(_mm256_mul_pd(_mm256_set1_pd(table->area), q), _mm256_mul_pd(s, s));
    __m256d contrast = _mm256_cmp_pd(nf, _mm256_setzero_pd(), _CMP_GT_OQ);
    nf = _mm256_blendv_pd(one, nf, contrast);
    __m128 found = _mm256_cvtpd_ps(_mm256_div_pd(one, _mm256_sqrt_pd(nf)));
    unsigned keep = (unsigned)_mm_movemask_ps(_mm_cmple_ps(found, _mm_set1_ps(table->scale_limit)));
    keep &= (unsigned)_mm256_movemask_pd(contrast);
    _mm_storeu_ps(scale, found);
    for (unsigned i = 0; i < 4; i++)
        scale[i] = keep >> i & 1 ? scale[i] : 1;
    return keep;
}

static void variance_avx2(const cascade_table *table, const int32_t *sum, const int32_t *square, size_t groups,
                          float *scale, uint16_t *valid)
{
    for (size_t g = 0; g < groups; g++) {
        unsigned bits = 0;
        for (size_t i = 0; i < CASCADE_GROUP; i += 4) {
            size_t x = g * CASCADE_GROUP + i;
            bits |= variance4(table, sum + x, square + x, scale + x) << i;
        }
        valid[g] = (uint16_t)bits;
    }
}

static inline __m256i difference(const int32_t *p, int32_t plus, int32_t minus)
{
    return _mm256_sub_epi32(load(p + plus), load(p + minus));
}

static inline __m256i total(const int32_t *p, int32_t a, int32_t b)
{
    return _mm256_add_epi32(load(p + a), load(p + b));
}

static inline __attribute__((always_inline)) __m256i step_value(const cascade_step *step, cascade_form form,
                                                                const int32_t *p)
{
    const int32_t *at = step->at;
    if (form == CASCADE_FORM_6) {
        __m256i middle = difference(p, at[2], at[3]);
        return _mm256_add_epi32(_mm256_add_epi32(difference(p, at[0], at[1]), difference(p, at[4], at[5])),
                                _mm256_add_epi32(middle, middle));
    }
    if (form == CASCADE_FORM_8) {
        __m256i part = _mm256_add_epi32(difference(p, at[0], at[1]), difference(p, at[2], at[3]));
        __m256i whole = _mm256_add_epi32(difference(p, at[4], at[5]), difference(p, at[6], at[7]));
        return _mm256_add_epi32(_mm256_mullo_epi32(part, _mm256_set1_epi32(step->factor)), whole);
    }
    __m256i corners = _mm256_add_epi32(total(p, at[0], at[1]), total(p, at[2], at[3]));
    __m256i sides = _mm256_add_epi32(total(p, at[4], at[5]), total(p, at[6], at[7]));
    __m256i middle = load(p + at[8]);
    middle = _mm256_sub_epi32(_mm256_add_epi32(middle, middle), sides);
    corners = _mm256_add_epi32(corners, _mm256_add_epi32(middle, middle));
    return _mm256_sign_epi32(corners, _mm256_set1_epi32(step->factor));
}

/* All steps of one form for `pack` half groups; inlined with constant form and pack. */
static inline __attribute__((always_inline)) const cascade_step *run_form(const cascade_step *step, int32_t count,
                                                                          cascade_form form, size_t pack,
                                                                          const int32_t *const *corner,
                                                                          const __m256 *scale, __m256i *sum)
{
    for (const cascade_step *end = step + count; step < end; step++) {
        const __m256 threshold = _mm256_set1_ps(step->threshold);
        const __m256i gain = _mm256_set1_epi32(step->gain);
        for (size_t g = 0; g < pack; g++) {
            __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(step_value(step, form, corner[g])), scale[g]);
            __m256i below = _mm256_castps_si256(_mm256_cmp_ps(value, threshold, _CMP_LT_OQ));
            sum[g] = _mm256_add_epi32(sum[g], _mm256_and_si256(below, gain));
        }
    }
    return step;
}

static inline unsigned above(__m256i sum, int32_t limit)
{
    __m256i more = _mm256_cmpgt_epi32(sum, _mm256_set1_epi32(limit));
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(more));
}

static inline __attribute__((always_inline)) void run_stage(const cascade_table *table, const cascade_fast_stage *fast,
                                                            size_t pack, const int32_t *row, const float *scales,
                                                            const uint16_t *list, uint16_t *pass, uint16_t *sure)
{
    const int32_t *corner[2 * AVX2_PACK];
    __m256 scale[2 * AVX2_PACK];
    __m256i sum[2 * AVX2_PACK];
    for (size_t g = 0; g < 2 * pack; g++) {
        size_t first = list[g / 2] + (g & 1) * AVX2_LANES;
        corner[g] = row + first;
        scale[g] = _mm256_loadu_ps(scales + first);
        sum[g] = _mm256_set1_epi32(fast->base);
    }
    const cascade_step *step = table->steps + fast->first_step;
    step = run_form(step, fast->count[CASCADE_FORM_6], CASCADE_FORM_6, 2 * pack, corner, scale, sum);
    step = run_form(step, fast->count[CASCADE_FORM_8], CASCADE_FORM_8, 2 * pack, corner, scale, sum);
    run_form(step, fast->count[CASCADE_FORM_9], CASCADE_FORM_9, 2 * pack, corner, scale, sum);
    for (size_t g = 0; g < pack; g++) {
        pass[g] = (uint16_t)(above(sum[2 * g], -fast->slack) | above(sum[2 * g + 1], -fast->slack) << AVX2_LANES);
        sure[g] = (uint16_t)(above(sum[2 * g], fast->slack - 1) | above(sum[2 * g + 1], fast->slack - 1) << AVX2_LANES);
    }
}

static void stage_avx2(const cascade_table *table, int32_t stage, const int32_t *row, const float *scale,
                       const uint16_t *list, size_t count, uint16_t *pass, uint16_t *sure)
{
    const cascade_fast_stage *fast = table->program->stages + stage;
    for (; count >= AVX2_PACK; count -= AVX2_PACK, list += AVX2_PACK, pass += AVX2_PACK, sure += AVX2_PACK)
        run_stage(table, fast, AVX2_PACK, row, scale, list, pass, sure);
    if (count)
        run_stage(table, fast, 1, row, scale, list, pass, sure);
}

void cascade_kernels_avx2(cascade_kernels *table)
{
    table->blend = blend_avx2;
    table->shrink = shrink_avx2;
    table->integral = integral_avx2;
    table->variance = variance_avx2;
    table->stage[CASCADE_PATH_STUMPS] = stage_avx2;
    table->dense = 2;
}
