/* The cascade's kernels with AVX-512 F and BW: sixteen windows a register. A stage takes up to four groups at once, so
 * that a step's distances are read once for 64 windows. What bounds it is reading: nearly every unaligned 64-byte load
 * crosses a cache line, and a feature is six to nine of them. Gathers lose to that (and to one-by-one) by far. */
#include <immintrin.h>

#include "detect/cascade_kernels.h"

enum { AVX512_PACK = 4 };

static void blend_avx512(const uint8_t *row0, const uint8_t *row1, unsigned weight, size_t count, uint16_t *to)
{
    const __m512i low = _mm512_set1_epi16((short)(256 - weight)), high = _mm512_set1_epi16((short)weight);
    for (size_t i = 0; i < count; i += 32) {
        __mmask32 keep = count - i < 32 ? (1u << (count - i)) - 1 : ~0u;
        __m512i a = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(keep, row0 + i));
        __m512i b = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(keep, row1 + i));
        __m512i sum = _mm512_add_epi16(_mm512_mullo_epi16(a, low), _mm512_mullo_epi16(b, high));
        _mm512_mask_storeu_epi16(to + i, keep, sum);
    }
}

/* Pairs of neighbours come by one permutation where sixteen outputs stay within 64 inputs, else by a gather. They are
 * multiplied as signed numbers, 2¹⁵ lower than they are; 256 × 2¹⁵ is given back with the rounding. */
static void shrink_avx512(const uint16_t *from, const uint32_t *at, const uint32_t *weights, size_t count, uint8_t *to)
{
    const __m512i bias = _mm512_set1_epi16((short)0x8000), back = _mm512_set1_epi32((256 << 15) + (1 << 15));
    for (size_t i = 0; i < count; i += 16) {
        size_t last = count - i < 16 ? count - i - 1 : 15;
        __mmask16 keep = (__mmask16)((2u << last) - 1);
        __m512i place = _mm512_maskz_loadu_epi32(keep, at + i), pair;
        if (at[i + last] - at[i] < 63) {
            const uint16_t *first = from + at[i];
            __m512i rank = _mm512_sub_epi32(place, _mm512_set1_epi32((int)at[i]));
            rank = _mm512_or_si512(rank, _mm512_slli_epi32(_mm512_add_epi32(rank, _mm512_set1_epi32(1)), 16));
            pair = _mm512_permutex2var_epi16(_mm512_loadu_si512(first), rank, _mm512_loadu_si512(first + 32));
        } else {
            pair = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), keep, place, from, 2);
        }
        __m512i sum = _mm512_madd_epi16(_mm512_xor_si512(pair, bias), _mm512_maskz_loadu_epi32(keep, weights + i));
        sum = _mm512_srli_epi32(_mm512_add_epi32(sum, back), 16);
        _mm512_mask_cvtepi32_storeu_epi8(to + i, keep, sum);
    }
}

/* Sixteen running sums by four shifted additions. */
static inline __m512i prefix(__m512i v)
{
    const __m512i zero = _mm512_setzero_si512();
    v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 15));
    v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 14));
    v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 12));
    return _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 8));
}

static inline void store_sum(int32_t *to, const int32_t *above, __m512i line)
{
    _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_loadu_si512(above), line));
}

/* 32 running sums to columns x+1 … x+32. */
static inline void store_line(int32_t *to, const int32_t *above, size_t x, size_t half, __m512i first, __m512i second)
{
    if (!half) {
        store_sum(to + x + 1, above + x + 1, first);
        store_sum(to + x + 17, above + x + 17, second);
        return;
    }
    const __m512i odd = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i even = _mm512_add_epi32(odd, _mm512_set1_epi32(1));
    size_t at = x >> 1;
    store_sum(to + half + at, above + half + at, _mm512_permutex2var_epi32(first, odd, second));
    store_sum(to + at + 1, above + at + 1, _mm512_permutex2var_epi32(first, even, second));
}

static void integral_avx512(const uint8_t *pixels, size_t width, size_t half, const int32_t *sum_above, int32_t *sum,
                            const int32_t *square_above, int32_t *square)
{
    const __m512i top = _mm512_set1_epi32(15);
    __m512i line = _mm512_setzero_si512(), squares = line;
    sum[0] = square[0] = 0;
    for (size_t x = 0; x < width; x += 32) {
        __mmask32 keep = width - x < 32 ? (1u << (width - x)) - 1 : ~0u;
        __m256i bytes = _mm256_maskz_loadu_epi8(keep, pixels + x);
        __m512i a = _mm512_cvtepu8_epi32(_mm256_castsi256_si128(bytes));
        __m512i b = _mm512_cvtepu8_epi32(_mm256_extracti128_si256(bytes, 1));
        __m512i aa = prefix(_mm512_madd_epi16(a, a)), bb = prefix(_mm512_madd_epi16(b, b));
        a = _mm512_add_epi32(prefix(a), line);
        b = _mm512_add_epi32(prefix(b), _mm512_permutexvar_epi32(top, a));
        aa = _mm512_add_epi32(aa, squares);
        bb = _mm512_add_epi32(bb, _mm512_permutexvar_epi32(top, aa));
        line = _mm512_permutexvar_epi32(top, b);
        squares = _mm512_permutexvar_epi32(top, bb);
        store_line(sum, sum_above, x, half, a, b);
        store_line(square, square_above, x, half, aa, bb);
    }
}

static inline __m512i inner_sum(const int32_t *p, const int32_t at[4])
{
    __m512i top = _mm512_sub_epi32(_mm512_loadu_si512(p + at[0]), _mm512_loadu_si512(p + at[1]));
    __m512i bottom = _mm512_sub_epi32(_mm512_loadu_si512(p + at[3]), _mm512_loadu_si512(p + at[2]));
    return _mm512_add_epi32(top, bottom);
}

/* Eight windows: 1/sqrt(area × squares - sum²), each operation rounded as in plain C. */
static inline __m256 inverse_deviation(__m256i sum, __m256i squares, __m512d area, __mmask8 *contrast)
{
    __m512d s = _mm512_cvtepi32_pd(sum), q = _mm512_cvtepu32_pd(squares);
    __m512d nf = _mm512_sub_pd(_mm512_mul_pd(area, q), _mm512_mul_pd(s, s));
    *contrast = _mm512_cmp_pd_mask(nf, _mm512_setzero_pd(), _CMP_GT_OQ);
    nf = _mm512_mask_mov_pd(_mm512_set1_pd(1), *contrast, nf);
    return _mm512_cvtpd_ps(_mm512_div_pd(_mm512_set1_pd(1), _mm512_sqrt_pd(nf)));
}

static void variance_avx512(const cascade_table *table, const int32_t *sum, const int32_t *square, size_t groups,
                            float *scale, uint16_t *valid)
{
    const __m512d area = _mm512_set1_pd(table->area);
    const __m512 limit = _mm512_set1_ps(table->scale_limit), one = _mm512_set1_ps(1);
    for (size_t g = 0; g < groups; g++, sum += CASCADE_GROUP, square += CASCADE_GROUP, scale += CASCADE_GROUP) {
        __m512i s = inner_sum(sum, table->inner), q = inner_sum(square, table->inner);
        __mmask8 low, high;
        __m256 first = inverse_deviation(_mm512_castsi512_si256(s), _mm512_castsi512_si256(q), area, &low);
        __m256 second =
            inverse_deviation(_mm512_extracti64x4_epi64(s, 1), _mm512_extracti64x4_epi64(q, 1), area, &high);
        __m512 both = _mm512_insertf32x8(_mm512_castps256_ps512(first), second, 1);
        __mmask16 keep = _mm512_cmp_ps_mask(both, limit, _CMP_LE_OQ) & (__mmask16)(low | high << 8);
        _mm512_storeu_ps(scale, _mm512_mask_mov_ps(one, keep, both));
        valid[g] = (uint16_t)keep;
    }
}

static inline __m512i difference(const int32_t *p, int32_t plus, int32_t minus)
{
    return _mm512_sub_epi32(_mm512_loadu_si512(p + plus), _mm512_loadu_si512(p + minus));
}

static inline __m512i total(const int32_t *p, int32_t a, int32_t b)
{
    return _mm512_add_epi32(_mm512_loadu_si512(p + a), _mm512_loadu_si512(p + b));
}

static inline __m512i step_value(const cascade_step *step, cascade_form form, const int32_t *p)
{
    const int32_t *at = step->at;
    if (form == CASCADE_FORM_6) {
        __m512i middle = difference(p, at[2], at[3]);
        return _mm512_add_epi32(_mm512_add_epi32(difference(p, at[0], at[1]), difference(p, at[4], at[5])),
                                _mm512_add_epi32(middle, middle));
    }
    if (form == CASCADE_FORM_8) {
        __m512i part = _mm512_add_epi32(difference(p, at[0], at[1]), difference(p, at[2], at[3]));
        __m512i whole = _mm512_add_epi32(difference(p, at[4], at[5]), difference(p, at[6], at[7]));
        return _mm512_add_epi32(_mm512_mullo_epi32(part, _mm512_set1_epi32(step->factor)), whole);
    }
    __m512i corners = _mm512_add_epi32(total(p, at[0], at[1]), total(p, at[2], at[3]));
    __m512i sides = _mm512_add_epi32(total(p, at[4], at[5]), total(p, at[6], at[7]));
    __m512i middle = _mm512_loadu_si512(p + at[8]);
    middle = _mm512_sub_epi32(_mm512_add_epi32(middle, middle), sides);
    corners = _mm512_add_epi32(corners, _mm512_add_epi32(middle, middle));
    return _mm512_mullo_epi32(corners, _mm512_set1_epi32(step->factor));
}

/* All steps of one form for `pack` groups; inlined with constant form and pack, so that sums stay in registers. */
static inline __attribute__((always_inline)) const cascade_step *run_form(const cascade_step *step, int32_t count,
                                                                          cascade_form form, size_t pack,
                                                                          const int32_t *const *corner,
                                                                          const __m512 *scale, __m512i *sum)
{
    for (const cascade_step *end = step + count; step < end; step++) {
        const __m512 threshold = _mm512_set1_ps(step->threshold);
        const __m512i gain = _mm512_set1_epi32(step->gain);
        for (size_t g = 0; g < pack; g++) {
            __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(step_value(step, form, corner[g])), scale[g]);
            sum[g] = _mm512_mask_add_epi32(sum[g], _mm512_cmp_ps_mask(value, threshold, _CMP_LT_OQ), sum[g], gain);
        }
    }
    return step;
}

static inline void judge(const cascade_fast_stage *fast, __m512i sum, uint16_t *pass, uint16_t *sure)
{
    *pass = (uint16_t)_mm512_cmpgt_epi32_mask(sum, _mm512_set1_epi32(-fast->slack));
    *sure = (uint16_t)_mm512_cmpge_epi32_mask(sum, _mm512_set1_epi32(fast->slack));
}

static inline __attribute__((always_inline)) void run_stage(const cascade_table *table, const cascade_fast_stage *fast,
                                                            size_t pack, const int32_t *row, const float *scales,
                                                            const uint16_t *list, uint16_t *pass, uint16_t *sure)
{
    const int32_t *corner[AVX512_PACK];
    __m512 scale[AVX512_PACK];
    __m512i sum[AVX512_PACK];
    for (size_t g = 0; g < pack; g++) {
        corner[g] = row + list[g];
        scale[g] = _mm512_loadu_ps(scales + list[g]);
        sum[g] = _mm512_set1_epi32(fast->base);
    }
    const cascade_step *step = table->steps + fast->first_step;
    step = run_form(step, fast->count[CASCADE_FORM_6], CASCADE_FORM_6, pack, corner, scale, sum);
    step = run_form(step, fast->count[CASCADE_FORM_8], CASCADE_FORM_8, pack, corner, scale, sum);
    run_form(step, fast->count[CASCADE_FORM_9], CASCADE_FORM_9, pack, corner, scale, sum);
    for (size_t g = 0; g < pack; g++)
        judge(fast, sum[g], pass + g, sure + g);
}

static void stage_avx512(const cascade_table *table, int32_t stage, const int32_t *row, const float *scale,
                         const uint16_t *list, size_t count, uint16_t *pass, uint16_t *sure)
{
    const cascade_fast_stage *fast = table->program->stages + stage;
    for (; count >= 4; count -= 4, list += 4, pass += 4, sure += 4)
        run_stage(table, fast, 4, row, scale, list, pass, sure);
    if (count == 3)
        run_stage(table, fast, 3, row, scale, list, pass, sure);
    else if (count == 2)
        run_stage(table, fast, 2, row, scale, list, pass, sure);
    else if (count == 1)
        run_stage(table, fast, 1, row, scale, list, pass, sure);
}

/* Which of sixteen windows go left at a step. */
static inline __attribute__((always_inline)) __mmask16 goes_left(const cascade_step *step, cascade_form form,
                                                                 const int32_t *corner, __m512 scale)
{
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(step_value(step, form, corner)), scale);
    return _mm512_cmp_ps_mask(value, _mm512_set1_ps(step->threshold), _CMP_LT_OQ);
}

static inline __mmask16 goes_left_by_form(const cascade_step *step, uint8_t form, const int32_t *corner, __m512 scale)
{
    if (form == CASCADE_FORM_6)
        return goes_left(step, CASCADE_FORM_6, corner, scale);
    if (form == CASCADE_FORM_8)
        return goes_left(step, CASCADE_FORM_8, corner, scale);
    return goes_left(step, CASCADE_FORM_9, corner, scale);
}

/* One tree: all its nodes for all windows, each window's leaf told by which nodes it reached. */
static inline __m512i add_tree(const cascade_step *step, const cascade_branch *branch, const int32_t *corner,
                               __m512 scale, __m512i sum)
{
    __mmask16 reached[CASCADE_TREE_NODES] = {0xffff};
    for (size_t n = 0;; n++) {
        __mmask16 below = goes_left_by_form(step + n, branch[n].form, corner, scale);
        const __mmask16 side[2] = {(__mmask16)(reached[n] & below), (__mmask16)(reached[n] & ~below)};
        for (size_t i = 0; i < 2; i++) {
            if (branch[n].child[i])
                reached[branch[n].child[i]] |= side[i];
            else
                sum = _mm512_mask_add_epi32(sum, side[i], sum, _mm512_set1_epi32(branch[n].gain[i]));
        }
        if (branch[n].last)
            return sum;
    }
}

static void tree_stage_avx512(const cascade_table *table, int32_t stage, const int32_t *row, const float *scale,
                              const uint16_t *list, size_t count, uint16_t *pass, uint16_t *sure)
{
    const cascade *source = table->program->source;
    const cascade_fast_stage *fast = table->program->stages + stage;
    const cascade_tree *trees = source->trees + source->stages[stage].first_tree;
    for (size_t g = 0; g < count; g++) {
        size_t first = list[g];
        const __m512 scales = _mm512_loadu_ps(scale + first);
        __m512i sum = _mm512_set1_epi32(fast->base);
        for (int32_t t = 0; t < source->stages[stage].tree_count; t++)
            sum = add_tree(table->steps + trees[t].first_node, table->program->branches + trees[t].first_node,
                           row + first, scales, sum);
        judge(fast, sum, pass + g, sure + g);
    }
}

/* Sixteen codes: blocks' sums from differences along the rows of the 4 × 4 grid, the eight around against the middle.
 */
static inline __m512i lbp_codes(const int32_t *corner, const int32_t *reads)
{
    __m512i along[4][3], block[3][3];
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 3; c++)
            along[r][c] = difference(corner, reads[4 * r + c + 1], reads[4 * r + c]);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            block[r][c] = _mm512_sub_epi32(along[r + 1][c], along[r][c]);
    static const int8_t around[8][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 2}, {2, 2}, {2, 1}, {2, 0}, {1, 0}};
    __m512i codes = _mm512_setzero_si512();
    for (int i = 0; i < 8; i++) {
        __mmask16 more = _mm512_cmpge_epi32_mask(block[around[i][0]][around[i][1]], block[1][1]);
        codes = _mm512_mask_or_epi32(codes, more, codes, _mm512_set1_epi32(128 >> i));
    }
    return codes;
}

static void lbp_stage_avx512(const cascade_table *table, int32_t stage, const int32_t *row, const float *scale,
                             const uint16_t *list, size_t count, uint16_t *pass, uint16_t *sure)
{
    (void)scale;
    const cascade *source = table->program->source;
    const cascade_fast_stage *fast = table->program->stages + stage;
    const __m512i one = _mm512_set1_epi32(1), low = _mm512_set1_epi32(31);
    for (size_t g = 0; g < count; g++) {
        const int32_t *corner = row + list[g];
        __m512i sum = _mm512_set1_epi32(fast->base);
        for (int32_t n = fast->first_step; n < fast->first_step + source->stages[stage].tree_count; n++) {
            const uint32_t *subset = source->subsets + (size_t)n * CASCADE_SUBSET_WORDS;
            __m512i words = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)subset));
            __m512i codes = lbp_codes(corner, table->reads[source->nodes[n].feature]);
            words = _mm512_permutexvar_epi32(_mm512_srli_epi32(codes, 5), words);
            words = _mm512_srlv_epi32(words, _mm512_and_si512(codes, low));
            __mmask16 left = _mm512_test_epi32_mask(words, one);
            sum = _mm512_mask_add_epi32(sum, left, sum, _mm512_set1_epi32(table->program->branches[n].gain[0]));
        }
        judge(fast, sum, pass + g, sure + g);
    }
}

void cascade_kernels_avx512(cascade_kernels *table)
{
    table->blend = blend_avx512;
    table->shrink = shrink_avx512;
    table->integral = integral_avx512;
    table->variance = variance_avx512;
    table->stage[CASCADE_PATH_STUMPS] = stage_avx512;
    table->stage[CASCADE_PATH_TREES] = tree_stage_avx512;
    table->stage[CASCADE_PATH_LBP] = lbp_stage_avx512;
    table->dense = 2;
}
