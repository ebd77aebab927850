/* A cascade of boosted classifiers (Viola & Jones 2001, Lienhart & Maydt 2002, LBP features by Liao et al. 2007) as
 * data, read from the XML files that OpenCV's trainers write. Immutable once loaded; shared between threads. */
#ifndef DETECT_CASCADE_H
#define DETECT_CASCADE_H

#include <mien/base.h>

#include <stdbool.h>

typedef enum cascade_kind { CASCADE_HAAR = 0, CASCADE_LBP } cascade_kind;

enum { CASCADE_MAX_SIDE = 256, CASCADE_RECTS = 3, CASCADE_SUBSET_WORDS = 8 };

/** A rectangle inside the window. Tilted: (x,y) is the top corner, width runs down-right, height runs down-left. */
typedef struct cascade_rect {
    int16_t x, y, width, height;
} cascade_rect;

/** HAAR: the weighted sum of up to three rectangles, unused ones with weight 0. LBP: rect[0] is the top-left block of
 *  3 × 3 equal blocks. */
typedef struct cascade_feature {
    cascade_rect rect[CASCADE_RECTS];
    float weight[CASCADE_RECTS];
    bool tilted;
} cascade_feature;

/** A decision. A child > 0 is a node of the same tree (always a later one), a child ≤ 0 is leaf -child of the tree. */
typedef struct cascade_node {
    int32_t left, right;
    int32_t feature;
    float threshold; /* HAAR: left when value < threshold */
} cascade_node;

typedef struct cascade_tree {
    int32_t first_node, node_count;
    int32_t first_leaf; /* node_count + 1 leaves */
} cascade_tree;

typedef struct cascade_stage {
    int32_t first_tree, tree_count;
    float threshold; /* a window whose sum of leaves is below is rejected */
} cascade_stage;

typedef struct cascade {
    cascade_kind kind;
    int width, height; /* of the window */
    bool tilted;       /* some feature is */
    bool stumps;       /* every tree is one node */
    cascade_stage *stages;
    cascade_tree *trees;
    cascade_node *nodes;
    float *leaves;
    uint32_t *subsets; /* LBP: CASCADE_SUBSET_WORDS per node; a set bit goes left */
    cascade_feature *features;
    int32_t stage_count, tree_count, node_count, leaf_count, feature_count;
} cascade;

/**
 * Read a cascade in either XML format (the present one, and the older one of "opencv-haar-classifier").
 * @param cascade  [out] zero-initialised or uninitialised; free with cascade_done().
 * @return MIEN_OK, MIEN_EFORMAT (not XML, cut short, a number missing or out of range), MIEN_EUNSUPPORTED (another kind
 *         of feature), MIEN_ELIMIT, MIEN_ENOMEM. Every index and rectangle of a loaded cascade is within its bounds.
 */
mien_status cascade_load(const void *bytes, size_t length, cascade *cascade, mien_error *error);
void cascade_done(cascade *cascade);

#endif
