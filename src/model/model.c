/* Loading a model, whatever it is stored as, and freeing it. The format is told by the first bytes: HDF5 has a
 * signature (89 'H' 'D' 'F' 0D 0A 1A 0A), and so have zip archives ('P' 'K' 3 4); protobuf has none, so everything else
 * is tried as ONNX.
 */
#include "model/model.h"

#include "base/error.h"
#include "base/file.h"
#include "model/hugging_face.h"
#include "model/keras_archive.h"
#include "model/keras_read.h"
#include "model/onnx_read.h"
#include "model/sidecar.h"
#include "model/zip.h"

#include <string.h>

static model_limits with_defaults(const model_limits *limits)
{
    model_limits set = limits ? *limits : (model_limits){0};
    if (!set.max_bytes)
        set.max_bytes = (size_t)256 << 20;
    if (!set.max_weight_bytes)
        set.max_weight_bytes = (size_t)1 << 30;
    if (!set.max_items)
        set.max_items = 200000;
    return set;
}

mien_status model_load_bytes(const void *bytes, size_t length, const model_limits *limits, model *out,
                             mien_error *error)
{
    model_limits set = with_defaults(limits);
    if (!bytes || !length)
        return error_set(error, MIEN_EFORMAT, "the model is empty");
    if (length > set.max_bytes)
        return error_set(error, MIEN_ELIMIT, "the model has %zu bytes; the limit is %zu", length, set.max_bytes);
    static const uint8_t hdf5[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    if (length >= sizeof hdf5 && !memcmp(bytes, hdf5, sizeof hdf5))
        return keras_read(bytes, length, &set, out, error);
    if (zip_is_archive(bytes, length))
        return keras_archive_read(bytes, length, &set, out, error);
    return onnx_read(bytes, length, &set, out, error);
}

mien_status model_load(const char *path, const model_limits *limits, model *out, mien_error *error)
{
    buffer bytes = {0};
    model loaded = {0};
    mien_status status = file_read(path, with_defaults(limits).max_bytes, &bytes, error);
    mien_status foreign = hugging_face_refuse(path, status ? NULL : bytes.data, bytes.length, error);
    if (!status && !foreign) {
        status = model_load_bytes(bytes.data, bytes.length, limits, &loaded, error);
        if (status)
            error_prefix(error, status, "%.120s", path);
    }
    if (foreign)
        status = foreign;
    buffer_done(&bytes);
    if (!status)
        status = sidecar_read(path, &loaded.info, error);
    if (status)
        model_done(&loaded);
    else
        *out = loaded;
    return status;
}

void model_done(model *m)
{
    if (!m)
        return;
    nn_graph_done(&m->graph);
    model_info_done(&m->info);
}

mien_status model_copy(const model *from, model *to, mien_error *error)
{
    model copy = {0};
    mien_status status = nn_graph_copy(&from->graph, &copy.graph, error);
    if (!status)
        status = model_info_copy(&from->info, &copy.info, error);
    if (status)
        nn_graph_done(&copy.graph);
    else
        *to = copy;
    return status;
}

bool model_output_is_probability(const model *m, int index)
{
    const nn_graph *graph = &m->graph;
    if (index < 0 || index >= graph->output_count)
        return false;
    int node = graph->outputs[index];
    while (graph->nodes[node].op == NN_IDENTITY || graph->nodes[node].op == NN_FLATTEN ||
           graph->nodes[node].op == NN_RESHAPE)
        node = graph->nodes[node].inputs[0];
    return graph->nodes[node].op == NN_SOFTMAX || graph->nodes[node].op == NN_SIGMOID;
}
