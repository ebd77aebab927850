/* Guards the tracker against any faces at any times: outputs must stay sane numbers, ids fresh, memory within its
 * bound. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <mien/tracker.h>

enum { MOST_FACES = 12, SIDE = 64 };

static void check(int holds)
{
    if (!holds)
        abort();
}

static int32_t number(const uint8_t *data)
{
    int16_t value;
    memcpy(&value, data, sizeof value);
    return value % 7 == 0 ? value * 65536 : value; /* now and then a huge one */
}

static void check_search(mien_tracker *tracker, double time)
{
    mien_search search;
    mien_tracker_search(tracker, time, SIDE, SIDE, &search);
    check(search.count <= MIEN_SEARCH_MAX_REGIONS);
    for (size_t i = 0; i < search.count; i++) {
        const mien_search_region *r = &search.regions[i];
        check(r->box.x >= 0 && r->box.y >= 0 && r->box.width > 0 && r->box.height > 0);
        check(r->box.x + r->box.width <= SIDE && r->box.y + r->box.height <= SIDE);
        check(r->min_side >= 1 && r->max_side >= r->min_side);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t pixels[SIDE * SIDE];
    mien_tracker *tracker;
    mien_tracker_options options;
    mien_tracker_default_options(&options);
    options.max_tracks = 6;
    options.baseline_ms = 100;
    if (mien_tracker_create(&options, &tracker, NULL))
        return 0;
    double time = 0;
    for (; size >= 3; size -= 3, data += 3) {
        size_t count = data[0] % MOST_FACES;
        int looks = data[0] & 64;
        time += data[0] & 128 ? number(data + 1) * 1e3 : data[1];
        data += 3;
        size -= 3;
        mien_face faces[MOST_FACES];
        memset(faces, 0, sizeof faces);
        mien_track tracks[MOST_FACES];
        if (size < count * 8 + 3)
            break;
        for (size_t i = 0; i < count; i++, data += 8, size -= 8) {
            faces[i].box = (mien_rect){number(data), number(data + 2), number(data + 4), number(data + 6)};
            faces[i].probabilities[data[0] % MIEN_EMOTION_COUNT] = 1;
            memcpy(pixels + i * 8, data, 8);
        }
        mien_image_view grey = {pixels, SIDE, SIDE, SIDE, MIEN_PIXEL_GREY8};
        if (mien_tracker_update(tracker, faces, count, time, looks ? &grey : NULL, tracks, NULL))
            continue;
        check(mien_tracker_count(tracker) <= 6);
        for (size_t i = 0; i < count; i++) {
            check(tracks[i].id > 0 && isfinite(tracks[i].confidence) && isfinite(tracks[i].velocity_x));
            for (size_t other = 0; other < i; other++)
                check(tracks[other].id != tracks[i].id);
        }
        check_search(tracker, time + 33);
    }
    mien_tracker_destroy(&tracker);
    return 0;
}
