/* Networks by name. */
#ifndef TRAIN_ARCHITECTURE_H
#define TRAIN_ARCHITECTURE_H

#include "model/model.h"
#include "train/config.h"

typedef struct architecture {
    const char *name, *summary;
    int channels, height, width; /* of the input */
    float mean, std;             /* value = (pixel / 255 - mean) / std */
    float dropout;               /* in the head */
    const char *recipe;          /* settings that suit it, as lines of a configuration file */
    const char *random_recipe;   /* laid over them where no backbone is given though it takes one; NULL = nothing */
    /** Everything below the logits: returns the node that the last dense layers stand on, or -1. */
    int (*trunk)(nn_graph *graph, const struct architecture *self, int input, float dropout);
    /** The part of it that stands on a backbone's feature map; NULL = it takes no backbone. */
    int (*head)(nn_graph *graph, int map, float dropout);
    /** Instead of both, a network that finds faces: sets the graph's outputs. Its input may have any size in multiples
     *  of 32; height and width above are those that its cost is told for. */
    void (*detector)(nn_graph *graph, int input);
} architecture;

const architecture *architecture_list(size_t *count);
/** MIEN_EINVAL lists the names. */
mien_status architecture_find(const char *name, const architecture **out, mien_error *error);

/** Lay the recipe over `config`. @param backbone  whether the network will stand on another one's layers. */
mien_status architecture_apply_recipe(const architecture *arch, bool backbone, train_config *config, mien_error *error);

/**
 * Build the network that `config` asks for, with random weights of its seed: one output of 7 logits, and a second one
 * where config->votes_head asks for it; or a detector's maps. With config->backbone the layers below the architecture's
 * head are that model's, weights and input included. The input specification, the labels and the task are filled in.
 * Free with model_done.
 * @param backbone_layers  [out] layers with weights that came from the backbone; may be NULL.
 */
mien_status architecture_build(const train_config *config, model *out, int *backbone_layers, mien_error *error);

/** Multiply-adds of the network at the architecture's own input size; 0 without memory. */
uint64_t architecture_multiply_adds(const architecture *arch, const nn_graph *graph);

/* The families, each in a file of its own. */
int architecture_trunk_baseline(nn_graph *graph, const architecture *self, int input, float dropout);
int architecture_trunk_atulapra(nn_graph *graph, const architecture *self, int input, float dropout);
int architecture_trunk_dcnn(nn_graph *graph, const architecture *self, int input, float dropout);
int architecture_trunk_mobilenetv2(nn_graph *graph, const architecture *self, int input, float dropout);
int architecture_head_mobilenetv2(nn_graph *graph, int map, float dropout);
int architecture_trunk_mien_tiny(nn_graph *graph, const architecture *self, int input, float dropout);
int architecture_trunk_mien_small(nn_graph *graph, const architecture *self, int input, float dropout);
int architecture_trunk_mien_se(nn_graph *graph, const architecture *self, int input, float dropout);
int architecture_trunk_mien_base(nn_graph *graph, const architecture *self, int input, float dropout);
int architecture_trunk_mien_large(nn_graph *graph, const architecture *self, int input, float dropout);
int architecture_trunk_mien_wide(nn_graph *graph, const architecture *self, int input, float dropout);
void architecture_detector_mien_face(nn_graph *graph, int input);
/** Sets the output layers of a detector to what it begins with; after nn_graph_initialise. */
void architecture_detector_begin(nn_graph *graph);

#endif
