/* Lines of CSV (RFC 4180) with the probabilities to nine digits, which is all that a float holds: the figures of `mien
 * eval` can be computed again from them, and those that it does not have (a paired test of two models, say) as well. */
#include "eval_predictions.h"

#include <string.h>

#include "base/file.h"

static void predictions_field(const char *text, buffer *out)
{
    if (!strpbrk(text, ",\"\n\r")) {
        buffer_append_text(out, text);
        return;
    }
    buffer_append_byte(out, '"');
    for (; *text; text++)
        buffer_append_format(out, "%s%c", *text == '"' ? "\"" : "", *text);
    buffer_append_byte(out, '"');
}

static void predictions_line(const evaluation *e, const dataset *data, size_t index, buffer *out)
{
    const float *p = e->probabilities + index * DATASET_CLASSES;
    const char *file = data->paths ? data->paths[e->rows[index]] : NULL;
    predictions_field(e->model, out);
    buffer_append_byte(out, ',');
    predictions_field(e->data, out);
    buffer_append_format(out, ",%zu,", e->rows[index]);
    predictions_field(file ? file : "", out);
    buffer_append_format(out, ",%s,%s", mien_emotion_name((mien_emotion)e->truth[index]),
                         mien_emotion_name((mien_emotion)metrics_argmax(p, DATASET_CLASSES)));
    for (int c = 0; c < DATASET_CLASSES; c++)
        buffer_append_format(out, ",%.9g", (double)p[c]);
    buffer_append_text(out, "\n");
}

mien_status eval_predictions_write(const char *path, const eval_results *results, mien_error *error)
{
    buffer out = {0};
    buffer_append_text(&out, "model,data,row,file,truth,said");
    for (int c = 0; c < DATASET_CLASSES; c++)
        buffer_append_format(&out, ",%s", mien_emotion_name((mien_emotion)c));
    buffer_append_text(&out, "\n");
    for (size_t i = 0; i < results->count; i++)
        for (size_t k = 0; k < results->list[i].count; k++)
            predictions_line(&results->list[i], &results->data[results->data_of[i]], k, &out);
    mien_status status = buffer_status(&out, error);
    if (!status)
        status = file_write(path, out.data, out.length, error);
    buffer_done(&out);
    return status;
}
