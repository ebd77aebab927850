/* The model's card as JSON. Every figure comes from the model file itself (see model/model.h), so what is shown is what
 * was measured for the network that answers, whichever that is. */
#include "pipeline/model_card.h"

#include "emotion/classifier.h"
#include "pipeline/result_json.h"
#include "pipeline/session.h"

static json_t *text_or_null(const char *text)
{
    json_t *string = text ? json_string(text) : NULL;
    return string ? string : json_null();
}

static json_t *labels_of(const model_info *info)
{
    json_t *labels = json_array();
    for (size_t i = 0; i < info->label_count; i++)
        json_array_append_new(labels, json_string(info->labels[i]));
    return labels;
}

static json_t *figures_of(const model_info *info)
{
    json_t *figures = json_object();
    for (size_t i = 0; i < info->figure_count; i++)
        json_object_set_new(figures, info->figures[i].name, result_number(info->figures[i].value, 4));
    return figures;
}

json_t *analyzer_card(const mien_analyzer *analyzer)
{
    const model_info *info = classifier_info(analyzer_classifier(analyzer));
    return json_pack("{s:o, s:o, s:o, s:I, s:o, s:{s:i, s:i, s:i}, s:o, s:o, s:o}", "name", text_or_null(info->name),
                     "description", text_or_null(info->description), "training", text_or_null(info->training),
                     "parameters", (json_int_t)analyzer_parameters(analyzer), "labels", labels_of(info), "input",
                     "width", info->input.width, "height", info->input.height, "channels", info->input.channels,
                     "temperature", result_number(info->temperature, 4), "uncertain_below",
                     result_number(info->uncertain_below, 4), "figures", figures_of(info));
}
