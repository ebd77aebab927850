/* Fuzzes the BMP reader, which is our own, without having to guess its first two bytes. */
#include <string.h>

#include <mien/image.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t file[8192] = "BM";
    if (size > sizeof file - 2)
        return 0;
    memcpy(file + 2, data, size);
    mien_decode_options options;
    mien_decode_default_options(&options);
    options.limits.max_pixels = 1 << 18;
    mien_image image = {0};
    mien_error error = {0};
    if (mien_image_decode(file, size + 2, &options, &image, &error) == MIEN_OK) {
        volatile unsigned sum = 0; /* reads every pixel */
        for (size_t y = 0; y < image.height; y++)
            for (size_t x = 0; x < 3 * image.width; x++)
                sum = sum + image.data[y * image.stride + x];
    }
    mien_image_done(&image);
    return 0;
}
