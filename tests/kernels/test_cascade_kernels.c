/* Guards the cascade's kernels: every version that this machine can run gives what plain C gives, at odd sizes, at
 * extreme pixels and for every stage, and writes nothing outside what it may. */
#include "testing.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "detect/cascade_kernels.h"

enum { MOST_BYTES = 64 << 20, GUARD = 0x5a };

static const size_t widths[] = {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 200, 333};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The versions beside plain C that are worth a comparison. */
static size_t versions(cascade_kernels *table, const char **names)
{
    size_t count = 0;
    unsigned flags = cpu_flags();
    if (flags & CPU_AVX2) {
        cascade_kernels_fill(&table[count], flags & (CPU_SSE41 | CPU_AVX2));
        names[count++] = "avx2";
    }
    if (flags & CPU_AVX512) {
        cascade_kernels_fill(&table[count], flags);
        names[count++] = "avx512";
    }
    if (!count)
        print_message("skipped: this machine has plain C only\n");
    return count;
}

static void fill(uint8_t *pixels, size_t count, int kind)
{
    random_state random;
    random_seed(&random, (uint64_t)kind, 4);
    for (size_t i = 0; i < count; i++)
        pixels[i] = kind == 0 ? 255 : kind == 1 ? (uint8_t)(255 * (i & 1)) : (uint8_t)random_below(&random, 256);
}

static void test_blend_and_shrink(void **state)
{
    (void)state;
    cascade_kernels c, other[2];
    const char *names[2];
    cascade_kernels_fill(&c, 0);
    size_t count = versions(other, names);
    static uint8_t rows[2][1200], from_c[400], from_other[400];
    static uint16_t line_c[1400], line_other[1400];
    uint32_t at[400], weights[400];
    for (int kind = 0; kind < 4; kind++)
        for (size_t w = 0; w < COUNT(widths); w++)
            for (size_t v = 0; v < count; v++) {
                size_t width = widths[w];
                fill(rows[0], sizeof rows[0], kind);
                fill(rows[1], sizeof rows[1], kind ? kind + 1 : 0);
                for (unsigned weight = 0; weight <= 256; weight += kind ? 37 : 256) {
                    memset(line_c, GUARD, sizeof line_c);
                    memset(line_other, GUARD, sizeof line_other);
                    c.blend(rows[0], rows[1], weight, width, line_c);
                    other[v].blend(rows[0], rows[1], weight, width, line_other);
                    assert_memory_equal(line_c, line_other, sizeof line_c);
                }
                c.blend(rows[0], rows[1], 100, 1200, line_c);
                for (double scale = 1.05; scale < 1190.0 / (double)width && scale < 40; scale *= 1.7) {
                    for (size_t i = 0; i < width; i++) {
                        at[i] = (uint32_t)((double)i * scale);
                        weights[i] = (uint32_t)(i * 61 % 257);
                        weights[i] = weights[i] << 16 | (256 - weights[i]);
                    }
                    memset(from_c, GUARD, sizeof from_c);
                    memset(from_other, GUARD, sizeof from_other);
                    c.shrink(line_c, at, weights, width, from_c);
                    other[v].shrink(line_c, at, weights, width, from_other);
                    assert_memory_equal(from_c, from_other, sizeof from_c);
                }
            }
}

static void test_integral(void **state)
{
    (void)state;
    cascade_kernels c, other[2];
    const char *names[2];
    cascade_kernels_fill(&c, 0);
    size_t count = versions(other, names);
    static uint8_t pixels[512];
    static int32_t above[2][512], plain[2][512], fast[2][512];
    for (size_t i = 0; i < 512; i++) {
        above[0][i] = (int32_t)(i * 1000003);
        above[1][i] = INT32_MAX - (int32_t)i; /* squares wrap around */
    }
    for (int kind = 0; kind < 3; kind++)
        for (size_t w = 0; w < COUNT(widths); w++)
            for (size_t half = 0; half <= 240; half += 240)
                for (size_t v = 0; v < count; v++) {
                    fill(pixels, sizeof pixels, kind);
                    c.integral(pixels, widths[w], half, above[0], plain[0], above[1], plain[1]);
                    other[v].integral(pixels, widths[w], half, above[0], fast[0], above[1], fast[1]);
                    const integral_layout layout = {0, half};
                    for (size_t x = 0; x <= widths[w]; x++) {
                        size_t at = integral_column(&layout, x);
                        assert_int_equal(plain[0][at], fast[0][at]);
                        assert_int_equal(plain[1][at], fast[1][at]);
                    }
                }
}

/* Planes over a picture of which a part is flat and a part black and white, for variance and stages. */
typedef struct picture {
    enum { SIDE = 150, STRIDE = 432 } unused;
    int32_t *memory;
    integral_planes planes;
} picture;

static picture make_picture(const integral_layout *layout)
{
    static uint8_t pixels[SIDE * SIDE + 64];
    fill(pixels, sizeof pixels, 7);
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        size_t x = i % SIDE, y = i / SIDE;
        if (y > 80)
            pixels[i] = x < 60 ? 128 : x < 110 ? (uint8_t)(255 * (x / 9 & 1)) : (uint8_t)(x + y);
        else
            pixels[i] = (uint8_t)(pixels[i] / 3 + 2 * ((x / 8 * 53 + y / 8 * 97) % 80));
    }
    size_t plane = (SIDE + 1) * STRIDE;
    picture made = {.memory = memory_zeroed(3 * plane + 64, sizeof(int32_t))};
    assert_non_null(made.memory);
    made.planes = (integral_planes){made.memory, made.memory + plane, made.memory + 2 * plane};
    integral_fill(pixels, SIDE, SIDE, SIDE, layout, &made.planes);
    return made;
}

static void compare_row(const cascade_kernels *c, const cascade_kernels *other, const cascade_table *table,
                        const int32_t *sum, const int32_t *square, size_t groups)
{
    float scale_c[160], scale_other[160];
    uint16_t valid_c[10], valid_other[10], list[10], pass[2][10], sure[2][10];
    c->variance(table, sum, square, groups, scale_c, valid_c);
    other->variance(table, sum, square, groups, scale_other, valid_other);
    assert_memory_equal(scale_c, scale_other, groups * CASCADE_GROUP * sizeof *scale_c);
    assert_memory_equal(valid_c, valid_other, groups * sizeof *valid_c);
    for (size_t i = 0; i < groups; i++)
        list[i] = (uint16_t)((groups - 1 - i) * CASCADE_GROUP - (i + 1 < groups && i % 2));
    for (int32_t stage = 0; stage < table->program->source->stage_count; stage++)
        for (size_t listed = 1 + (size_t)stage % groups; listed <= groups; listed += groups) {
            c->stage[CASCADE_PATH_STUMPS](table, stage, sum, scale_c, list, listed, pass[0], sure[0]);
            other->stage[CASCADE_PATH_STUMPS](table, stage, sum, scale_c, list, listed, pass[1], sure[1]);
            assert_memory_equal(pass[0], pass[1], listed * sizeof **pass);
            assert_memory_equal(sure[0], sure[1], listed * sizeof **sure);
        }
}

/* A fast stage may be unsure, but never wrong; and it must be sure of nearly all. */
static void check_row(const cascade_kernels *kernels, const cascade_table *table, const int32_t *sum,
                      const int32_t *square, size_t groups, size_t *unsure)
{
    float scale[160];
    uint16_t valid[10], list[10], pass[10], sure[10];
    const cascade *source = table->program->source;
    kernels->variance(table, sum, square, groups, scale, valid);
    for (size_t i = 0; i < groups; i++)
        list[i] = (uint16_t)(i * CASCADE_GROUP);
    for (int32_t stage = 0; stage < source->stage_count; stage++) {
        kernels->stage[table->program->path](table, stage, sum, scale, list, groups, pass, sure);
        for (size_t i = 0; i < groups * CASCADE_GROUP; i++) {
            unsigned may = pass[i / CASCADE_GROUP] >> i % CASCADE_GROUP & 1;
            unsigned does = sure[i / CASCADE_GROUP] >> i % CASCADE_GROUP & 1;
            bool exact = cascade_stage_exact(table, stage, sum + i, scale[i]);
            assert_true(exact ? may : !does);
            *unsure += may != does;
        }
    }
}

/* Against plain C's kernel where it has one, else against the exact evaluation. */
static void compare_cascade(const char *path, const cascade_kernels *c, const cascade_kernels *other)
{
    size_t unsure = 0;
    buffer bytes;
    cascade source;
    cascade_program program;
    mien_error error = {0};
    buffer_init(&bytes, MOST_BYTES);
    assert_ok(file_read(path, MOST_BYTES, &bytes, &error), &error);
    assert_ok(cascade_load(bytes.data, bytes.length, &source, &error), &error);
    assert_ok(cascade_program_create(&source, &program, &error), &error);
    for (size_t half = 0; half <= 176; half += 176) {
        const integral_layout layout = {STRIDE, half};
        cascade_table table = {0};
        picture p = make_picture(&layout);
        assert_ok(cascade_table_prepare(&table, &program, &layout, 2 * (SIDE + 1) * STRIDE, &error), &error);
        size_t columns = (SIDE + 1 - (size_t)source.width) / (half ? 2 : 1);
        size_t groups = (columns + CASCADE_GROUP - 1) / CASCADE_GROUP;
        for (size_t y = 0; y + (size_t)source.height <= SIDE; y += 7) {
            const int32_t *sum = p.planes.sum + y * STRIDE, *square = p.planes.square + y * STRIDE;
            if (c->stage[program.path])
                compare_row(c, other, &table, sum, square, groups);
            if (other->stage[program.path])
                check_row(other, &table, sum, square, groups, &unsure);
        }
        cascade_table_done(&table);
        memory_free(p.memory);
    }
    assert_true(unsure < 20);
    cascade_program_done(&program);
    cascade_done(&source);
    buffer_done(&bytes);
}

static void test_variance_and_stages(void **state)
{
    (void)state;
    cascade_kernels c, other[2];
    const char *names[2];
    cascade_kernels_fill(&c, 0);
    size_t count = versions(other, names);
    for (size_t v = 0; v < count; v++) {
        compare_cascade("/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml", &c, &other[v]);
        compare_cascade("/usr/share/opencv4/haarcascades/haarcascade_frontalcatface_extended.xml", &c, &other[v]);
        compare_cascade("/usr/share/opencv4/haarcascades/haarcascade_frontalface_alt2.xml", &c, &other[v]);
        compare_cascade("/usr/share/opencv4/haarcascades/haarcascade_eye_tree_eyeglasses.xml", &c, &other[v]);
        compare_cascade("/usr/share/opencv4/lbpcascades/lbpcascade_frontalface.xml", &c, &other[v]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blend_and_shrink),
        cmocka_unit_test(test_integral),
        cmocka_unit_test(test_variance_and_stages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
