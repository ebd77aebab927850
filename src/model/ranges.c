/* Eight-bit ranges travel with the model as one text property, so that any program which loads the file runs it in
 * eight bits without data of its own. */
#include "model/ranges.h"

#include "base/error.h"
#include "base/memory.h"

static const char ranges_key[] = "int8.ranges";

mien_status model_plan_create(const model *m, const nn_plan_options *options, nn_plan **plan, mien_error *error)
{
    if (options->precision != NN_INT8 || options->ranges || options->calibration)
        return nn_plan_create(&m->graph, options, plan, error);
    const char *text = model_info_property(&m->info, ranges_key);
    if (!text)
        return error_set(error, MIEN_ENOTFOUND,
                         "the model has no ranges for eight bits; `mien eval --calibrate` adds them");
    nn_plan_options known = *options;
    nn_range *ranges = memory_zeroed((size_t)m->graph.node_count, sizeof *ranges);
    if (!ranges)
        return error_no_memory(error, (size_t)m->graph.node_count * sizeof *ranges);
    known.ranges = ranges;
    mien_status status = nn_ranges_read(&m->graph, text, ranges, error);
    if (!status)
        status = nn_plan_create(&m->graph, &known, plan, error);
    memory_free(ranges);
    return status;
}

bool model_has_ranges(const model *m)
{
    return model_info_property(&m->info, ranges_key) != NULL;
}

mien_status model_calibrate(model *m, const nn_plan_options *options, mien_error *error)
{
    buffer text;
    buffer_init(&text, 0);
    nn_range *ranges = memory_zeroed((size_t)m->graph.node_count, sizeof *ranges);
    mien_status status = ranges ? nn_calibrate(&m->graph, options, ranges, error)
                                : error_no_memory(error, (size_t)m->graph.node_count * sizeof *ranges);
    if (!status && nn_ranges_write(&m->graph, ranges, &text))
        status = buffer_status(&text, error);
    if (!status)
        status = model_info_set(&m->info, ranges_key, buffer_text(&text), error);
    buffer_done(&text);
    memory_free(ranges);
    return status;
}
