/* Makes frames for the stream benchmark: a camera of 640×480 pans over photographs; JPEG files.
 *   bench_frames OUT PHOTO…     writes OUT/<photo>_<step>.jpg, 30 of each */
#include <stdio.h>
#include <stdlib.h>

#include <mien/image.h>

#include "base/file.h"
#include "prep/prep.h"

enum { WIDTH = 640, HEIGHT = 480, STEPS = 30, MOST_BYTES = 64 << 20 };

static mien_status load(const char *path, mien_image *scaled, mien_error *error)
{
    buffer bytes = {0};
    mien_image picture = {0};
    mien_status status = file_read(path, MOST_BYTES, &bytes, error);
    if (!status)
        status = mien_image_decode(bytes.data, bytes.length, NULL, &picture, error);
    buffer_done(&bytes);
    if (status)
        return status;
    double across = 700.0 / (double)picture.width, down = 540.0 / (double)picture.height;
    double scale = across > down ? across : down;
    status = mien_image_init(scaled, (size_t)((double)picture.width * scale + 0.5),
                             (size_t)((double)picture.height * scale + 0.5), MIEN_PIXEL_RGB8, error);
    mien_image_view view = mien_image_as_view(&picture);
    if (!status)
        status = prep_resize_linear(&view, scaled, error);
    mien_image_done(&picture);
    return status;
}

static mien_status write_step(const mien_image *scene, const char *folder, int photo, int step, mien_error *error)
{
    size_t x = (scene->width - WIDTH) * (size_t)step / STEPS, y = (scene->height - HEIGHT) * (size_t)step / STEPS;
    mien_image_view view = mien_image_as_view(scene);
    uint8_t *bytes;
    size_t length;
    char path[1024];
    view.data += y * view.stride + x * 3;
    view.width = WIDTH;
    view.height = HEIGHT;
    mien_status status = mien_image_encode_jpeg(&view, 85, &bytes, &length, error);
    if (status)
        return status;
    snprintf(path, sizeof path, "%s/%d_%02d.jpg", folder, photo, step);
    status = file_write(path, bytes, length, error);
    mien_free(bytes);
    return status;
}

int main(int count, char **arguments)
{
    mien_error error = {0};
    for (int i = 2; i < count; i++) {
        mien_image scene = {0};
        mien_status status = load(arguments[i], &scene, &error);
        for (int step = 0; step < STEPS && !status; step++)
            status = write_step(&scene, arguments[1], i - 2, step, &error);
        mien_image_done(&scene);
        if (status) {
            fprintf(stderr, "bench_frames: %s\n", error.message);
            return 1;
        }
    }
    return count > 2 ? 0 : 2;
}
