/* What `mien bench` measures with: pictures of the user's, or one that is made here, and frames that a camera panning
 * over a picture would send.
 *
 * The picture that is made is noise whose amplitude grows with its wavelength, as it does in photographs, so that the
 * decoder has about as many coefficients to read as in one of them. No face is in it. */
#include "bench.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "prep/prep.h"

enum {
    MADE_WIDTH = 1280,
    MADE_HEIGHT = 720,
    MADE_QUALITY = 90,
    FRAME_QUALITY = 85,
    SCENE_WIDTH = 700, /* what the camera pans over is at least this large */
    SCENE_HEIGHT = 540,
    SCENE_MOST = 4, /* and at most this many times: a picture that is one long strip is squeezed */
    MOST_BYTES = 64 << 20
};

/* Wavelengths in pixels and their shares of 256. */
static const struct {
    unsigned cell, share;
} octaves[] = {{256, 96}, {128, 64}, {64, 40}, {32, 24}, {16, 14}, {8, 9}, {4, 6}, {2, 3}};

static mien_status pictures_allocate(bench_pictures *pictures, size_t count, mien_error *error)
{
    pictures->list = memory_zeroed(count, sizeof *pictures->list);
    if (!pictures->list)
        return error_no_memory(error, count * sizeof *pictures->list);
    pictures->count = count;
    return MIEN_OK;
}

mien_status bench_pictures_read(char *const *paths, size_t count, const mien_analyze_options *options,
                                bench_pictures *pictures, mien_error *error)
{
    size_t limit = options->limits.max_bytes ? options->limits.max_bytes : MOST_BYTES;
    mien_status status = pictures_allocate(pictures, count, error);
    for (size_t i = 0; i < count && !status; i++) {
        pictures->list[i].name = paths[i];
        status = file_read(paths[i], limit, &pictures->list[i].bytes, error);
    }
    return status;
}

/* One octave: random pixels a cell apart, and what lies between them. */
static mien_status add_octave(size_t index, mien_image *scratch, uint16_t *sum, mien_error *error)
{
    unsigned cell = octaves[index].cell;
    mien_image coarse = {0};
    mien_status status =
        mien_image_init(&coarse, MADE_WIDTH / cell + 1, MADE_HEIGHT / cell + 1, MIEN_PIXEL_RGB8, error);
    if (status)
        return status;
    random_state random;
    random_seed(&random, 1, index);
    for (size_t y = 0; y < coarse.height; y++)
        for (size_t x = 0; x < coarse.width * 3; x++)
            coarse.data[y * coarse.stride + x] = (uint8_t)random_below(&random, 256);
    mien_image_view view = mien_image_as_view(&coarse);
    status = prep_resize_linear(&view, scratch, error);
    mien_image_done(&coarse);
    for (size_t y = 0; y < MADE_HEIGHT && !status; y++)
        for (size_t x = 0; x < (size_t)MADE_WIDTH * 3; x++)
            sum[y * MADE_WIDTH * 3 + x] += (uint16_t)(octaves[index].share * scratch->data[y * scratch->stride + x]);
    return status;
}

static mien_status paint(mien_image *picture, mien_error *error)
{
    size_t count = (size_t)MADE_WIDTH * MADE_HEIGHT * 3;
    uint16_t *sum = memory_zeroed(count, sizeof *sum);
    if (!sum)
        return error_no_memory(error, count * sizeof *sum);
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < sizeof octaves / sizeof octaves[0] && !status; i++)
        status = add_octave(i, picture, sum, error);
    for (size_t y = 0; y < MADE_HEIGHT && !status; y++)
        for (size_t x = 0; x < (size_t)MADE_WIDTH * 3; x++)
            picture->data[y * picture->stride + x] = (uint8_t)(sum[y * MADE_WIDTH * 3 + x] >> 8);
    memory_free(sum);
    return status;
}

static mien_status encode(const mien_image_view *view, int quality, buffer *to, mien_error *error)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    mien_status status = mien_image_encode_jpeg(view, quality, &bytes, &length, error);
    if (status)
        return status;
    buffer_append(to, bytes, length);
    mien_free(bytes);
    return buffer_status(to, error);
}

mien_status bench_pictures_make(bench_pictures *pictures, mien_error *error)
{
    mien_image picture = {0};
    mien_status status = pictures_allocate(pictures, 1, error);
    if (!status)
        status = mien_image_init(&picture, MADE_WIDTH, MADE_HEIGHT, MIEN_PIXEL_RGB8, error);
    if (!status)
        status = paint(&picture, error);
    if (status)
        goto out;
    pictures->made = true;
    pictures->list[0].name = "(made by mien)";
    mien_image_view view = mien_image_as_view(&picture);
    status = encode(&view, MADE_QUALITY, &pictures->list[0].bytes, error);
out:
    mien_image_done(&picture);
    return status;
}

static mien_status decode(const bench_picture *picture, const mien_analyze_options *options, mien_image *image,
                          mien_error *error)
{
    mien_decode_options how;
    mien_decode_default_options(&how);
    how.limits = options->limits;
    return mien_image_decode(picture->bytes.data, picture->bytes.length, &how, image, error);
}

mien_status bench_pictures_decode(bench_pictures *pictures, const mien_analyze_options *options, mien_error *error)
{
    if (pictures->first.data)
        return MIEN_OK;
    mien_status status = decode(&pictures->list[0], options, &pictures->first, error);
    if (status)
        return status;
    int32_t width = (int32_t)pictures->first.width, height = (int32_t)pictures->first.height;
    int32_t side = (width < height ? width : height) / 4;
    side = side ? side : 1;
    pictures->box = (mien_rect){(width - side) / 2, (height - side) / 2, side, side};
    return MIEN_OK;
}

void bench_pictures_done(bench_pictures *pictures)
{
    for (size_t i = 0; i < pictures->count; i++)
        buffer_done(&pictures->list[i].bytes);
    memory_free(pictures->list);
    mien_image_done(&pictures->first);
    *pictures = (bench_pictures){0};
}

static size_t scene_side(size_t side, double scale, size_t least)
{
    double scaled = (double)side * scale + 0.5, most = (double)(SCENE_MOST * least);
    return (size_t)(scaled < most ? scaled : most);
}

/* The picture at the size that the camera sees it at: it has a little room to move in every direction. */
static mien_status make_scene(const bench_picture *picture, const mien_analyze_options *options, mien_image *scene,
                              mien_error *error)
{
    mien_image whole = {0};
    mien_status status = decode(picture, options, &whole, error);
    if (status)
        return status;
    double across = (double)SCENE_WIDTH / (double)whole.width, down = (double)SCENE_HEIGHT / (double)whole.height;
    double scale = across > down ? across : down;
    status = mien_image_init(scene, scene_side(whole.width, scale, SCENE_WIDTH),
                             scene_side(whole.height, scale, SCENE_HEIGHT), MIEN_PIXEL_RGB8, error);
    mien_image_view view = mien_image_as_view(&whole);
    if (!status)
        status = prep_resize_linear(&view, scene, error);
    mien_image_done(&whole);
    return status;
}

mien_status bench_frames_make(const bench_picture *picture, const mien_analyze_options *options, bench_frames *frames,
                              mien_error *error)
{
    mien_image scene = {0};
    mien_status status = make_scene(picture, options, &scene, error);
    for (size_t step = 0; step < BENCH_STEPS && !status; step++) {
        size_t x = (scene.width - BENCH_FRAME_WIDTH) * step / BENCH_STEPS;
        size_t y = (scene.height - BENCH_FRAME_HEIGHT) * step / BENCH_STEPS;
        mien_image_view view = mien_image_as_view(&scene);
        view.data += y * view.stride + x * 3;
        view.width = BENCH_FRAME_WIDTH;
        view.height = BENCH_FRAME_HEIGHT;
        status = mien_image_encode_jpeg(&view, FRAME_QUALITY, &frames->bytes[step], &frames->length[step], error);
    }
    mien_image_done(&scene);
    return status;
}

void bench_frames_done(bench_frames *frames)
{
    for (size_t i = 0; i < BENCH_STEPS; i++)
        mien_free(frames->bytes[i]);
    *frames = (bench_frames){0};
}
