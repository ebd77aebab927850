/* A model: a network and what one must know to use it. Read from ONNX (mien's own format) or Keras .h5, written as
 * ONNX.
 *
 * A loaded model is plain data: several threads may read it, one may change it before it is shared.
 *
 * Everything but the network stands in ONNX metadata_props, so that one file is the whole model and other programs can
 * read it. A foreign file without these keys gets the defaults in brackets; numbers are decimal, lists comma-separated.
 *     mien.task                "emotion", "face-detector" ["unknown"]
 *     mien.name, mien.description, mien.training      text; training is the command or configuration that made it
 *     mien.labels              class names in the order of the output [none]
 *     mien.input.width, .height, .channels            [the network's input shape; 0 = any size]
 *     mien.input.pixels        "grey", "rgb" or "bgr" [grey for 1 channel, else rgb]; grey with 3 channels: the grey
 *                              value three times
 *     mien.input.scale, .mean, .std   value = (pixel·scale − mean) / std, pixel 0..255; mean and std one number or one
 *                              per channel [1/255, 0, 1]
 *     mien.crop.scale          side of the square crop as a multiple of the detector box's longer side [1]
 *     mien.crop.shift_x, .shift_y   how far its centre moves, as a fraction of that side; down and right count
 *                              positive [0]
 *     mien.crop.square         1: square crop as above, 0: the box itself, each side scaled and shifted on its own [1]
 *                              A face detector's crop is the square, from its box, that a frontal cascade would have
 *                              drawn; an emotion model's crop starts from that square.
 *     mien.detector.style, .min_score, .least_face, .precision     of a face detector (detect/network_open.c)
 *     mien.temperature         logits are divided by it before softmax [1]
 *     mien.uncertain_below     confidence below which an answer is called uncertain [0: never]
 *     mien.measured.<figure>   accuracy as it was measured, e.g. mien.measured.PublicTest.top1 = 0.71
 *     mien.int8.ranges         ranges of the activations for eight-bit inference, a line per node (model/ranges.h)
 *     mien.<anything else>     kept as it is in `properties`
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/buffer.h"
#include "nn/graph.h"

enum { MODEL_MAX_LABELS = 1024, MODEL_MAX_PROPERTIES = 1024, MODEL_MAX_CHANNELS = 4 };

typedef enum model_task { MODEL_TASK_UNKNOWN = 0, MODEL_TASK_EMOTION, MODEL_TASK_FACE_DETECTOR } model_task;
typedef enum model_pixels { MODEL_PIXELS_GREY = 0, MODEL_PIXELS_RGB, MODEL_PIXELS_BGR } model_pixels;

/** What the network's input must hold: NCHW [N,channels,height,width], value = (pixel·scale − mean[c]) / std[c]. */
typedef struct model_input {
    int width, height; /* 0 = any */
    int channels;      /* 1 or 3 */
    model_pixels pixels;
    float scale;
    float mean[MODEL_MAX_CHANNELS];
    float std[MODEL_MAX_CHANNELS];
} model_input;

/** How a detector's box becomes the classifier's crop; see the keys above. */
typedef struct model_crop {
    float scale;
    float shift_x, shift_y;
    bool square;
} model_crop;

typedef struct model_figure {
    char *name;
    double value;
} model_figure;

typedef struct model_property {
    char *key; /* without "mien." */
    char *value;
} model_property;

/** Text may be NULL (none). Everything is owned; fill it in with the functions below. */
typedef struct model_info {
    model_task task;
    char *name, *description, *training;
    char **labels;
    size_t label_count;
    model_input input;
    model_crop crop;
    float temperature;
    float uncertain_below;
    model_figure *figures;
    size_t figure_count;
    model_property *properties;
    size_t property_count;
} model_info;

/** Zero-initialised means empty; model_info_init gives the defaults for a graph built in memory. */
typedef struct model {
    nn_graph graph;
    model_info info;
} model;

/** What a file may ask for; 0 means the default. */
typedef struct model_limits {
    size_t max_bytes;        /* of the file: 256 MiB */
    size_t max_weight_bytes; /* of all weights together once they are f32: 1 GiB */
    size_t max_items;        /* nodes, tensors, attributes and the like: 200,000 */
} model_limits;

/**
 * Load a model; ONNX or Keras .h5 is told by the first bytes. Beside a file `path.json` may stand: one object whose
 * members are the keys above without "mien.", for formats that cannot hold them; it overrides the file.
 * @param limits  NULL = defaults.
 * @param out     [out] untouched on failure; free with model_done().
 * @return MIEN_OK, MIEN_ENOTFOUND, MIEN_EDENIED, MIEN_EIO, MIEN_EFORMAT (corrupt; says where), MIEN_EUNSUPPORTED
 *         (names the node and operator), MIEN_ELIMIT, MIEN_ENOMEM.
 */
mien_status model_load(const char *path, const model_limits *limits, model *out, mien_error *error);
/** The same from memory, borrowed for the call; no side file. */
mien_status model_load_bytes(const void *bytes, size_t length, const model_limits *limits, model *out,
                             mien_error *error);
/** How a name on the command line becomes a model: a file (NULL), or a file or a model that ships (shipped_load). */
typedef mien_status (*model_loader)(const char *name, model *out, mien_error *error);
void model_done(model *m);
mien_status model_copy(const model *from, model *to, mien_error *error);

/** Write ONNX (opset 13, 17 with layer normalisation, 20 with GELU; f32 raw data, symbolic batch), the graph as it
 * stands: its outputs are logits unless it ends in a softmax. @return MIEN_OK, MIEN_EINVAL (a label with a comma),
 * MIEN_EUNSUPPORTED, MIEN_EIO, MIEN_ENOMEM. */
mien_status model_save_onnx(const model *m, const char *path, mien_error *error);
/** The same, appended to `out`. */
mien_status model_save_onnx_buffer(const model *m, buffer *out, mien_error *error);

/** Whether output `index` is already a probability (comes from a softmax or sigmoid), not a logit. */
bool model_output_is_probability(const model *m, int index);

/** The defaults, with the input's size taken from the graph. */
void model_info_init(model_info *info, const nn_graph *graph);
void model_info_done(model_info *info);
mien_status model_info_copy(const model_info *from, model_info *to, mien_error *error);
/**
 * Set one entry by its key without "mien.". An unknown key goes to `properties`.
 * @return MIEN_OK, MIEN_EINVAL (a value that the key cannot have; nothing is changed), MIEN_ELIMIT, MIEN_ENOMEM.
 */
mien_status model_info_set(model_info *info, const char *key, const char *value, mien_error *error);
mien_status model_info_set_figure(model_info *info, const char *name, double value, mien_error *error);
/** `labels` are copied. */
mien_status model_info_set_labels(model_info *info, const char *const *labels, size_t count, mien_error *error);
/** Value in `properties`, or NULL. */
const char *model_info_property(const model_info *info, const char *key);

/** Called with each entry in turn, key without "mien."; a status other than MIEN_OK ends the walk and is returned. */
typedef mien_status (*model_info_visitor)(void *context, const char *key, const char *value, mien_error *error);
/** All entries that differ from "none", in a fixed order: what the ONNX writer stores and the model card shows. */
mien_status model_info_visit(const model_info *info, model_info_visitor visitor, void *context, mien_error *error);

#endif
