/* Guards src/image/video.c and its FFmpeg module: frames, their times and order, the interval, limits, foreign and cut
 * files. The video is an uncompressed AVI written here. Where mien was built without FFmpeg the tests say so and skip.
 */
#include "testing.h"

#include <stdbool.h>

#include "base/buffer.h"
#include "base/file.h"
#include "image/video.h"

enum { WIDE = 20, HIGH = 16, FRAMES = 8, ROW = 60 };

static char path[256];

static void put(buffer *b, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buffer_append_byte(b, (uint8_t)(value >> (8 * i)));
}

static void put_frame(buffer *b, int frame)
{
    buffer_append_text(b, "00db");
    put(b, ROW * HIGH, 4);
    for (int y = HIGH - 1; y >= 0; y--) /* rows upwards */
        for (int x = 0; x < WIDE; x++) {
            put(b, (uint32_t)(20 * frame), 1); /* B */
            put(b, (uint32_t)(10 * y), 1);     /* G */
            put(b, (uint32_t)(10 * x), 1);     /* R */
        }
}

/* Ten frames a second. */
static void make_avi(buffer *b)
{
    buffer_append_text(b, "RIFF");
    put(b, 4 + 8 + 192 + 12 + FRAMES * (8 + ROW * HIGH), 4);
    buffer_append_text(b, "AVI LIST");
    put(b, 192, 4);
    buffer_append_text(b, "hdrlavih");
    put(b, 56, 4);
    const uint32_t main_header[14] = {100000, 0, 0, 0, FRAMES, 0, 1, ROW * HIGH, WIDE, HIGH};
    for (int i = 0; i < 14; i++)
        put(b, main_header[i], 4);
    buffer_append_text(b, "LIST");
    put(b, 116, 4);
    buffer_append_text(b, "strlstrh");
    put(b, 56, 4);
    buffer_append_text(b, "vidsDIB ");
    const uint32_t stream_header[12] = {0, 0, 0, 1, 10, 0, FRAMES, ROW * HIGH, 0, 0, 0, 0};
    for (int i = 0; i < 12; i++)
        put(b, stream_header[i], 4);
    buffer_append_text(b, "strf");
    put(b, 40, 4);
    const uint32_t format[10] = {40, WIDE, HIGH, 1 | 24 << 16, 0, ROW * HIGH};
    for (int i = 0; i < 10; i++)
        put(b, format[i], 4);
    buffer_append_text(b, "LIST");
    put(b, 4 + FRAMES * (8 + ROW * HIGH), 4);
    buffer_append_text(b, "movi");
    for (int i = 0; i < FRAMES; i++)
        put_frame(b, i);
}

static void write_file(const void *bytes, size_t length)
{
    mien_error error = {0};
    snprintf(path, sizeof path, "%s/test_video.avi", MIEN_BUILD_DIR);
    assert_ok(file_write(path, bytes, length, &error), &error);
}

static video *open_or_skip(const video_options *options)
{
    video *opened = NULL;
    mien_error error = {0};
    mien_status status = video_open(path, options, &opened, &error);
    if (status == MIEN_EUNSUPPORTED) {
        print_message("skipped: %s\n", error.message);
        skip();
    }
    assert_ok(status, &error);
    return opened;
}

static void write_video(void)
{
    buffer b = {0};
    make_avi(&b);
    write_file(b.data, b.length);
    buffer_done(&b);
}

static void test_all_frames_with_their_times(void **state)
{
    (void)state;
    write_video();
    video *opened = open_or_skip(NULL);
    video_info info = video_describe(opened);
    assert_int_equal(info.width, WIDE);
    assert_int_equal(info.height, HIGH);
    assert_true(info.frame_rate > 9.9 && info.frame_rate < 10.1);
    assert_true(info.duration > 0.7 && info.duration < 0.9);
    mien_image frame = {0};
    mien_error error = {0};
    double seconds = -1;
    bool more = true;
    const uint8_t *memory = NULL;
    for (int i = 0;; i++) {
        assert_ok(video_next(opened, &frame, &seconds, &more, &error), &error);
        if (!more) {
            assert_int_equal(i, FRAMES);
            break;
        }
        assert_true(seconds > i / 10.0 - 0.001 && seconds < i / 10.0 + 0.001);
        const uint8_t *pixel = frame.data + 7 * frame.stride + 3 * 9;
        assert_int_equal(pixel[0], 90);
        assert_int_equal(pixel[1], 70);
        assert_int_equal(pixel[2], 20 * i);
        assert_true(!memory || memory == frame.data); /* the memory is used again */
        memory = frame.data;
    }
    mien_image_done(&frame);
    video_close(&opened);
    assert_null(opened);
}

static void test_interval_and_grey(void **state)
{
    (void)state;
    write_video();
    video_options options = video_default_options();
    options.interval = 0.25;
    options.format = MIEN_PIXEL_GREY8;
    video *opened = open_or_skip(&options);
    static const double expected[] = {0, 0.3, 0.6};
    mien_image frame = {0};
    mien_error error = {0};
    double seconds = 0;
    bool more = true;
    for (int i = 0; i < 3; i++) {
        assert_ok(video_next(opened, &frame, &seconds, &more, &error), &error);
        assert_true(more);
        assert_true(seconds > expected[i] - 0.001 && seconds < expected[i] + 0.001);
        assert_int_equal(frame.format, MIEN_PIXEL_GREY8);
    }
    assert_ok(video_next(opened, &frame, &seconds, &more, &error), &error);
    assert_false(more);
    mien_image_done(&frame);
    video_close(&opened);
}

static void test_refusals(void **state)
{
    (void)state;
    write_video();
    video *opened = open_or_skip(NULL);
    video_close(&opened);
    mien_error error = {0};
    video_options options = video_default_options();
    options.limits.max_side = WIDE - 1;
    assert_int_equal(video_open(path, &options, &opened, &error), MIEN_ELIMIT);
    options.format = MIEN_PIXEL_RGBA8;
    assert_int_equal(video_open(path, &options, &opened, &error), MIEN_EINVAL);
    assert_int_equal(video_open("/nowhere/at/all.mp4", NULL, &opened, &error), MIEN_ENOTFOUND);
    write_file("this is no video, only text", 27);
    assert_int_equal(video_open(path, NULL, &opened, &error), MIEN_EFORMAT);
    static const char list[] = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n";
    write_file(list, sizeof list - 1); /* play lists reach elsewhere */
    assert_int_equal(video_open(path, NULL, &opened, &error), MIEN_EFORMAT);
    assert_null(opened);
    video_close(NULL);
}

static void test_cut_off(void **state)
{
    (void)state;
    write_video();
    video *opened = open_or_skip(NULL);
    video_close(&opened);
    buffer b = {0};
    make_avi(&b);
    for (size_t length = 12; length < b.length; length += 97) {
        mien_error error = {0};
        mien_image frame = {0};
        double seconds;
        bool more = true;
        write_file(b.data, length);
        if (video_open(path, NULL, &opened, &error))
            continue;
        for (int i = 0; more && !video_next(opened, &frame, &seconds, &more, &error); i++)
            assert_true(i <= FRAMES);
        mien_image_done(&frame);
        video_close(&opened);
    }
    buffer_done(&b);
    unlink(path);
}

int main(void)
{
    setenv("MIEN_VIDEO_MODULE", MIEN_BUILD_DIR "/mien-video.so", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_frames_with_their_times),
        cmocka_unit_test(test_interval_and_grey),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
