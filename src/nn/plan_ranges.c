/* Calibrated ranges outside a plan: made once from representative inputs, kept in the model's file as text, and given
 * to nn_plan_create wherever the model is loaded. A line per node that is stored in eight bits somewhere: clipping
 * magnitude, "u" or "s" (with sign), name of the node, with a space between them. Lines whose node the network does not
 * have are ignored, so that a head can be cut off. */
#include "nn/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/number.h"
#include "nn/plan_calibrate.h"

mien_status nn_calibrate(const nn_graph *graph, const nn_plan_options *options, nn_range *ranges, mien_error *error)
{
    plan_program program = {0};
    mien_status status = plan_program_import(graph, options->height, options->width, &program, error);
    if (!status)
        status = plan_program_rewrite(&program, error);
    if (!status)
        status = plan_calibrate(&program, options, error);
    for (int v = 0; v < program.value_count && !status; v++) {
        const plan_value *value = &program.values[v];
        ranges[v] = (nn_range){value->scale * (float)(value->negative ? 127 : 255), value->negative};
    }
    plan_program_done(&program);
    return status;
}

void plan_apply_ranges(plan_program *program, const nn_range *ranges)
{
    for (int v = 0; v < program->value_count; v++) {
        bool known = ranges[v].most > 0 && isfinite(ranges[v].most);
        program->values[v].negative = ranges[v].negative;
        program->values[v].scale = known ? ranges[v].most / (float)(ranges[v].negative ? 127 : 255) : 0;
    }
}

mien_status nn_ranges_write(const nn_graph *graph, const nn_range *ranges, buffer *out)
{
    for (int i = 0; i < graph->node_count; i++)
        if (ranges[i].most > 0 && !strpbrk(graph->nodes[i].name, "\r\n")) {
            char most[32];
            number_write((double)ranges[i].most, 6, most, sizeof most);
            buffer_append_format(out, "%s %c %s\n", most, ranges[i].negative ? 's' : 'u', graph->nodes[i].name);
        }
    return out->failed;
}

static int find_node(const nn_graph *graph, const char *name, size_t length)
{
    for (int i = 0; i < graph->node_count; i++)
        if (!strncmp(graph->nodes[i].name, name, length) && !graph->nodes[i].name[length])
            return i;
    return -1;
}

/* One line; false when it is none. */
static bool read_line(const nn_graph *graph, const char *line, size_t length, nn_range *ranges)
{
    char *end = NULL;
    float most = (float)number_read(line, &end);
    size_t used = (size_t)(end - line);
    if (!used || used + 3 >= length || end[0] != ' ' || (end[1] != 'u' && end[1] != 's') || end[2] != ' ')
        return false;
    if (!(most > 0) || !isfinite(most))
        return false;
    int node = find_node(graph, end + 3, length - used - 3);
    if (node >= 0)
        ranges[node] = (nn_range){most, end[1] == 's'};
    return true;
}

mien_status nn_ranges_read(const nn_graph *graph, const char *text, nn_range *ranges, mien_error *error)
{
    nn_range *read = memory_zeroed((size_t)graph->node_count, sizeof *read);
    if (!read)
        return error_no_memory(error, (size_t)graph->node_count * sizeof *read);
    mien_status status = MIEN_OK;
    const char *at = text;
    while (*at && !status) {
        size_t length = strcspn(at, "\n");
        if (length && !read_line(graph, at, length, read))
            status = error_set_at(error, MIEN_EFORMAT, (size_t)(at - text), "not a range: %.40s", at);
        at += length + (at[length] == '\n');
    }
    if (!status)
        memcpy(ranges, read, (size_t)graph->node_count * sizeof *read);
    memory_free(read);
    return status;
}
