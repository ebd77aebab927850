/* Fuzzes every decoder through the public door, upright and converted, within limits that keep a run quick. The first
 * byte chooses what to decode to. */
#include <mien/image.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const mien_pixel_format formats[] = {MIEN_PIXEL_GREY8, MIEN_PIXEL_RGB8, MIEN_PIXEL_BGR8};
    if (!size)
        return 0;
    mien_decode_options options;
    mien_decode_default_options(&options);
    options.limits.max_pixels = 1 << 18;
    options.limits.max_side = 4096;
    options.format = formats[data[0] % 3];
    mien_image image = {0};
    mien_error error = {0};
    if (mien_image_decode(data + 1, size - 1, &options, &image, &error) == MIEN_OK && image.data[0] > 255)
        __builtin_trap();
    mien_image_done(&image);
    return 0;
}
