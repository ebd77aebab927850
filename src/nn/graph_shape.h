/* Shape inference of one operator, shared by building a graph (open sizes) and by fixing it (nn_graph_shapes). */
#ifndef NN_GRAPH_SHAPE_H
#define NN_GRAPH_SHAPE_H

#include "nn/graph.h"

/**
 * Check the attributes and the weights of a node and give its output's shape.
 * @param inputs  shapes of the node's inputs, node->input_count of them.
 * @param shape   [out] may be &node->shape itself; untouched on failure.
 * @return MIEN_OK, MIEN_EINVAL (the node makes no sense), MIEN_ELIMIT (too large).
 */
mien_status graph_infer_shape(const nn_graph *graph, const nn_node *node, const nn_shape *inputs, nn_shape *shape,
                              mien_error *error);

/** Elements of one image, MIEN_ELIMIT above NN_MAX_ELEMENTS, MIEN_EINVAL for sizes below 1 that are not NN_DYNAMIC. */
mien_status graph_check_shape(const nn_shape *shape, mien_error *error);

/** ONNX calls fewer fields obligatory than we use: fill in what 0 stands for. */
void graph_fill_defaults(const nn_graph *graph, nn_node *node, const nn_shape *inputs);

#endif
