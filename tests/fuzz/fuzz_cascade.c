/* Guards the cascade loader against any bytes; what loads is run over a small picture, both evaluations. */
#include <string.h>

#include "detect/detector.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static uint8_t pixels[64 * 80];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * i >> 3 ^ i);
    detector *found = NULL;
    mien_error error = {0};
    if (detector_open_cascade(bytes, length, &found, &error))
        return error.message[0] ? 0 : -1;
    detect_scratch *scratch = NULL;
    detect_faces faces = {0};
    detect_options options;
    detect_default_options(&options);
    options.scale_factor = 1.5;
    options.min_width = options.min_height = 0;
    mien_image_view view = {pixels, 80, 64, 80, MIEN_PIXEL_GREY8};
    if (!detect_scratch_create(found, &scratch, &error))
        detector_find(found, scratch, &view, &options, &faces, &error);
    detect_faces_done(&faces);
    detect_scratch_destroy(&scratch);
    detector_destroy(&found);
    return 0;
}
