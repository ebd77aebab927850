/* What `mien bench --json` prints: everything that was measured, as one object. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pipeline/result_json.h"

static json_t *figure_json(const bench_figure *figure)
{
    return json_pack("{s:o, s:o, s:I}", "best", result_number(figure->best, 4), "median",
                     result_number(figure->median, 4), "runs", (json_int_t)figure->runs);
}

static json_t *processor_json(void)
{
    char name[256];
    const bench_instruction *can;
    json_t *list = json_array();
    bench_processor_name(name, sizeof name);
    for (size_t i = 0; (can = bench_processor_can(i)); i++)
        json_array_append_new(list, json_string(can->name));
    return json_pack("{s:o, s:I, s:o}", "name", result_text(name), "count", (json_int_t)bench_processors(),
                     "instructions", list);
}

static json_t *network_json(const char *name, nn_precision wanted)
{
    return json_pack("{s:o, s:s, s:s}", "name", result_text(name), "precision", nn_precision_name(wanted), "runs_as",
                     nn_precision_name(nn_precision_here(wanted)));
}

static json_t *detector_json(const bench_report *r)
{
    bool network = !strcmp(r->detector_kind, "network");
    json_t *object = network ? network_json(r->detector_name, r->detector_precision)
                             : json_pack("{s:o}", "name", result_text(r->detector_name));
    json_object_set_new(object, "kind", json_string(r->detector_kind));
    return object;
}

static json_t *picture_json(const bench_picture *picture, const bench_steps *s, bool made)
{
    json_t *times =
        json_pack("{s:o, s:o, s:o, s:o}", "decode", figure_json(&s->decode), "detect", figure_json(&s->detect),
                  "classify", figure_json(&s->classify), "total", figure_json(&s->total));
    return json_pack("{s:o, s:b, s:I, s:I, s:I, s:I, s:b, s:o}", "file",
                     made ? json_null() : result_text(picture->name), "synthetic", (int)made, "bytes",
                     (json_int_t)picture->bytes.length, "width", (json_int_t)s->width, "height", (json_int_t)s->height,
                     "faces", (json_int_t)s->faces, "face_given", (int)s->given, "ms", times);
}

static json_t *pictures_json(const bench_report *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->pictures->count; i++)
        json_array_append_new(list, picture_json(&r->pictures->list[i], &r->steps[i], r->pictures->made));
    return list;
}

static json_t *rows_json(const bench_row *rows, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *object = network_json(rows[i].name, rows[i].wanted);
        if (rows[i].reason.code)
            json_object_set_new(object, "not_measured", result_text(rows[i].reason.message));
        else
            json_object_set_new(object, "ms", figure_json(&rows[i].figure));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *throughput_json(const bench_report *r)
{
    return json_pack("{s:I, s:o, s:o, s:i, s:i}", "threads", (json_int_t)r->settings->threads, "pictures_per_second",
                     figure_json(&r->picture_rate), "frames_per_second", figure_json(&r->frame_rate), "frame_width",
                     BENCH_FRAME_WIDTH, "frame_height", BENCH_FRAME_HEIGHT);
}

static json_t *memory_json(const bench_report *r)
{
    return json_pack("{s:I, s:I}", "one_session", (json_int_t)r->one_session, "all_sessions",
                     (json_int_t)r->all_sessions);
}

mien_status bench_print_json(const bench_report *r, mien_error *error)
{
    json_t *object =
        json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version", mien_version(),
                  "processor", processor_json(), "seconds", result_number(r->settings->seconds, 4), "preset",
                  mien_preset_name(r->settings->analyze.preset), "model",
                  network_json(r->emotion_name, r->emotion_precision), "detector", detector_json(r), "load_ms",
                  result_number(r->bed->load_ms, 3), "first_picture_ms", result_number(r->bed->first_ms, 3), "pictures",
                  pictures_json(r), "throughput", throughput_json(r), "classify", rows_json(r->models, r->model_rows),
                  "detect", rows_json(r->networks, r->network_rows), "peak_memory_bytes", memory_json(r));
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(8)) : NULL;
    json_decref(object);
    if (!text)
        return error_no_memory(error, 0);
    puts(text);
    free(text);
    return MIEN_OK;
}
