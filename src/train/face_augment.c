/* The steps of a sample in the order of the world: what stands before the camera, what stands before that, the lens,
 * the file, and last the light, which is cheapest where pixels become numbers anyway. Eight bits until then: a picture
 * of 320 × 320 stays in the second cache. Mosaics: Bochkovskiy et al. 2020. */
#include "train/face_augment.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "train/face_sample.h"

float face_sample_factor(random_state *stream, float low, float high)
{
    return low < high ? low * expf(random_unit(stream) * logf(high / low)) : low;
}

float face_sample_either_way(random_state *stream, float most)
{
    return most > 0 ? random_range(stream, -most, most) : 0;
}

bool face_sample_chance(random_state *stream, float probability)
{
    return probability > 0 && random_unit(stream) < probability;
}

mien_status face_augment_scratch_init(face_augment_scratch *scratch, int side, mien_error *error)
{
    if (side < FACE_AUGMENT_LEAST_SIDE || side > FACE_AUGMENT_MOST_SIDE)
        return error_set(error, MIEN_EINVAL, "samples of %d pixels: not within %d..%d", side, FACE_AUGMENT_LEAST_SIDE,
                         FACE_AUGMENT_MOST_SIDE);
    face_augment_scratch made = {.side = side};
    mien_status status = face_resampler_init(&made.resampler, FACE_DATASET_MOST_SIDE, (size_t)side, error);
    if (status)
        return status;
    size_t area = (size_t)side * (size_t)side;
    made.canvas = memory_aligned(3 * area, 1);
    made.patch = memory_array(FACE_AUGMENT_PATCH, FACE_AUGMENT_PATCH);
    if (!made.canvas || !made.patch) {
        face_augment_scratch_done(&made);
        return error_no_memory(error, 3 * area);
    }
    *scratch = made;
    return MIEN_OK;
}

void face_augment_scratch_done(face_augment_scratch *scratch)
{
    face_resampler_done(&scratch->resampler);
    memory_free(scratch->canvas);
    memory_free(scratch->patch);
    *scratch = (face_augment_scratch){0};
}

void face_augment_sample(const train_config *config, const face_dataset *data, size_t index, random_state *stream,
                         face_augment_scratch *scratch, int side, float *input, face_target *targets, size_t capacity,
                         size_t *count)
{
    size_t length = (size_t)side;
    face_sample sample = {
        .config = config, .data = data, .stream = stream, .scratch = scratch, .targets = targets, .capacity = capacity};
    sample.canvas = (mien_image){scratch->canvas, length, length, 3 * length, MIEN_PIXEL_RGB8};
    face_cut_compose(&sample, index);
    face_paste_faces(&sample);
    face_paste_cover(&sample);
    face_light_spoil(&sample);
    face_light_finish(&sample, input);
    *count = sample.count;
}
