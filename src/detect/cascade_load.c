/* The two XML forms of OpenCV's cascades, turned into the arrays of cascade.h.
 *
 * Present form: <cascade> stageType BOOST, featureType HAAR|LBP, height, width, featureParams/maxCatCount,
 *   stages/_/{stageThreshold, weakClassifiers/_/{internalNodes, leafValues}}, features/_/{rects/_ "x y w h weight",
 *   tilted} or {rect "x y w h"}. internalNodes: "left right feature threshold" a node, for LBP eight words instead of
 *   the threshold; children as cascade_node has them.
 * Older form: any root with <size> "w h" and stages/_/{trees/_/_/{feature, threshold, left_val|left_node,
 *   right_val|right_node}, stage_threshold}; each node carries its own feature.
 * Every number is checked here, so that nothing that runs a cascade has to.
 */
#include "detect/cascade.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "detect/cascade_reader.h"

enum { CASCADE_TREE_MEMORY = 256 << 20, CASCADE_PART_MEMORY = 64 << 20, CASCADE_LBP_CATEGORIES = 256 };

static mien_status cascade_read_lbp_feature(cascade_reader *reader, const xml_element *element)
{
    const xml_element *rect = xml_tree_child(element, "rect");
    const char *at = rect ? rect->text : "";
    cascade_feature feature = {0};
    if (!cascade_reader_rect(&at, &feature.rect[0]) || !cascade_reader_at_end(at))
        return cascade_reader_bad(reader, element, "a feature's <rect> is four whole numbers");
    cascade_rect all = feature.rect[0];
    all.width = (int16_t)(3 * all.width);
    all.height = (int16_t)(3 * all.height);
    if (!cascade_reader_rect_fits(reader, &all, false))
        return cascade_reader_bad(reader, rect, "a feature reaches beyond the window");
    return buffer_append(&reader->features, &feature, sizeof feature);
}

static mien_status cascade_read_features(cascade_reader *reader, const xml_element *root)
{
    const xml_element *features = xml_tree_child(root, "features");
    if (!features || !features->first)
        return cascade_reader_bad(reader, root, "<features> is missing");
    mien_status status = MIEN_OK;
    for (const xml_element *element = features->first; element && !status; element = element->next)
        status = reader->kind == CASCADE_LBP ? cascade_read_lbp_feature(reader, element)
                                             : cascade_reader_haar_feature(reader, element);
    return status;
}

/* One node of internalNodes; `index` is its place in its tree. */
static bool cascade_read_node(cascade_reader *reader, const char **at, int32_t index)
{
    cascade_node node = {0};
    if (!cascade_reader_integer(at, -CASCADE_MAX_TREE_NODES, CASCADE_MAX_TREE_NODES, &node.left) ||
        !cascade_reader_integer(at, -CASCADE_MAX_TREE_NODES, CASCADE_MAX_TREE_NODES, &node.right) ||
        !cascade_reader_integer(at, 0, INT32_MAX, &node.feature))
        return false;
    if ((node.left > 0 && node.left <= index) || (node.right > 0 && node.right <= index))
        return false; /* would run in a circle */
    if (reader->kind == CASCADE_LBP) {
        for (int i = 0; i < CASCADE_SUBSET_WORDS; i++) {
            int32_t word;
            if (!cascade_reader_integer(at, INT32_MIN, INT32_MAX, &word) ||
                buffer_append(&reader->subsets, &word, sizeof word))
                return false;
        }
    } else {
        double threshold;
        if (!cascade_reader_number(at, &threshold))
            return false;
        node.threshold = (float)threshold;
    }
    return !buffer_append(&reader->nodes, &node, sizeof node);
}

static mien_status cascade_read_tree(cascade_reader *reader, const xml_element *element)
{
    const xml_element *nodes = xml_tree_child(element, "internalNodes");
    const xml_element *leaves = xml_tree_child(element, "leafValues");
    if (!nodes || !leaves)
        return cascade_reader_bad(reader, element, "a tree has <internalNodes> and <leafValues>");
    cascade_tree tree = {.first_node = (int32_t)(reader->nodes.length / sizeof(cascade_node)),
                         .first_leaf = (int32_t)(reader->leaves.length / sizeof(float))};
    const char *at = nodes->text;
    while (!cascade_reader_at_end(at) && tree.node_count < CASCADE_MAX_TREE_NODES)
        if (!cascade_read_node(reader, &at, tree.node_count++))
            return cascade_reader_bad(reader, nodes, "a node is not two children, a feature and a test");
    int32_t leaf_count = 0;
    at = leaves->text;
    while (!cascade_reader_at_end(at) && leaf_count <= tree.node_count) {
        double value;
        if (!cascade_reader_number(&at, &value))
            return cascade_reader_bad(reader, leaves, "a leaf is not a number");
        float leaf = (float)value;
        if (buffer_append(&reader->leaves, &leaf, sizeof leaf))
            return buffer_status(&reader->leaves, reader->error);
        leaf_count++;
    }
    if (!tree.node_count || leaf_count != tree.node_count + 1 || !cascade_reader_at_end(at))
        return cascade_reader_bad(reader, element, "a tree has one leaf more than it has nodes");
    return buffer_append(&reader->trees, &tree, sizeof tree);
}

static mien_status cascade_read_stage(cascade_reader *reader, const xml_element *element)
{
    double threshold;
    mien_status status = cascade_reader_one_number(reader, element, "stageThreshold", &threshold);
    if (status)
        return status;
    const xml_element *weak = xml_tree_child(element, "weakClassifiers");
    if (!weak || !weak->first)
        return cascade_reader_bad(reader, element, "a stage has no <weakClassifiers>");
    int32_t first = (int32_t)(reader->trees.length / sizeof(cascade_tree));
    for (const xml_element *tree = weak->first; tree && !status; tree = tree->next)
        status = cascade_read_tree(reader, tree);
    return status ? status : cascade_reader_add_stage(reader, first, threshold);
}

static mien_status cascade_read_header(cascade_reader *reader, const xml_element *root)
{
    const xml_element *stage = xml_tree_child(root, "stageType"), *feature = xml_tree_child(root, "featureType");
    if (!stage || strcmp(stage->text, "BOOST"))
        return error_set(reader->error, MIEN_EUNSUPPORTED, "cascade: stages of type \"%.40s\"",
                         stage ? stage->text : "");
    if (!feature || (strcmp(feature->text, "HAAR") && strcmp(feature->text, "LBP")))
        return error_set(reader->error, MIEN_EUNSUPPORTED, "cascade: features of type \"%.40s\"",
                         feature ? feature->text : "");
    reader->kind = strcmp(feature->text, "LBP") ? CASCADE_HAAR : CASCADE_LBP;
    double width, height, categories;
    mien_status status = cascade_reader_one_number(reader, root, "width", &width);
    if (!status)
        status = cascade_reader_one_number(reader, root, "height", &height);
    if (!status)
        status = cascade_reader_window(reader, root, width, height);
    const xml_element *parameters = xml_tree_child(root, "featureParams");
    if (!status && !parameters)
        status = cascade_reader_bad(reader, root, "<featureParams> is missing");
    if (!status)
        status = cascade_reader_one_number(reader, parameters, "maxCatCount", &categories);
    if (!status && categories != (reader->kind == CASCADE_LBP ? CASCADE_LBP_CATEGORIES : 0))
        status = cascade_reader_bad(reader, parameters, "<maxCatCount> does not go with the features");
    return status;
}

static mien_status cascade_read_present(cascade_reader *reader, const xml_element *root)
{
    mien_status status = cascade_read_header(reader, root);
    if (status)
        return status;
    const xml_element *stages = xml_tree_child(root, "stages");
    if (!stages || !stages->first)
        return cascade_reader_bad(reader, root, "<stages> is missing");
    for (const xml_element *stage = stages->first; stage && !status; stage = stage->next)
        status = cascade_read_stage(reader, stage);
    return status ? status : cascade_read_features(reader, root);
}

/* Children and features can be checked only when all are there. */
static mien_status cascade_check_links(const cascade_reader *reader)
{
    const cascade_tree *trees = (const cascade_tree *)reader->trees.data;
    const cascade_node *nodes = (const cascade_node *)reader->nodes.data;
    int32_t features = (int32_t)(reader->features.length / sizeof(cascade_feature));
    for (size_t t = 0; t < reader->trees.length / sizeof(cascade_tree); t++)
        for (int32_t n = 0; n < trees[t].node_count; n++) {
            const cascade_node *node = nodes + trees[t].first_node + n;
            int32_t low = node->left < node->right ? node->left : node->right;
            int32_t high = node->left > node->right ? node->left : node->right;
            if (low < -trees[t].node_count || high >= trees[t].node_count)
                return error_set(reader->error, MIEN_EFORMAT, "cascade: tree %zu has a child that does not exist", t);
            if (node->feature < 0 || node->feature >= features)
                return error_set(reader->error, MIEN_EFORMAT, "cascade: tree %zu uses feature %d of %d", t,
                                 (int)node->feature, (int)features);
        }
    return MIEN_OK;
}

static void cascade_take(cascade_reader *reader, cascade *cascade)
{
    size_t bytes;
    memset(cascade, 0, sizeof *cascade);
    cascade->kind = reader->kind;
    cascade->width = reader->width;
    cascade->height = reader->height;
    cascade->stages = (cascade_stage *)buffer_take(&reader->stages, &bytes);
    cascade->stage_count = (int32_t)(bytes / sizeof(cascade_stage));
    cascade->trees = (cascade_tree *)buffer_take(&reader->trees, &bytes);
    cascade->tree_count = (int32_t)(bytes / sizeof(cascade_tree));
    cascade->nodes = (cascade_node *)buffer_take(&reader->nodes, &bytes);
    cascade->node_count = (int32_t)(bytes / sizeof(cascade_node));
    cascade->leaves = (float *)buffer_take(&reader->leaves, &bytes);
    cascade->leaf_count = (int32_t)(bytes / sizeof(float));
    cascade->subsets = (uint32_t *)buffer_take(&reader->subsets, &bytes);
    cascade->features = (cascade_feature *)buffer_take(&reader->features, &bytes);
    cascade->feature_count = (int32_t)(bytes / sizeof(cascade_feature));
    cascade->stumps = cascade->node_count == cascade->tree_count;
    for (int32_t i = 0; i < cascade->feature_count; i++)
        cascade->tilted |= cascade->features[i].tilted;
}

/* The buffers in one place, so that limits and failures are handled once. */
static void cascade_reader_buffers(cascade_reader *reader, buffer *all[6])
{
    all[0] = &reader->stages, all[1] = &reader->trees, all[2] = &reader->nodes;
    all[3] = &reader->leaves, all[4] = &reader->subsets, all[5] = &reader->features;
}

static mien_status cascade_read_root(cascade_reader *reader, const xml_element *root)
{
    if (strcmp(root->name, "opencv_storage") || !root->first)
        return error_set(reader->error, MIEN_EFORMAT, "cascade: the root element is <%.60s>, not <opencv_storage>",
                         root->name);
    const xml_element *top = root->first;
    mien_status status = xml_tree_child(top, "stageType") || xml_tree_child(top, "featureType")
                             ? cascade_read_present(reader, top)
                             : cascade_load_older(reader, top);
    return status ? status : cascade_check_links(reader);
}

mien_status cascade_load(const void *bytes, size_t length, cascade *cascade, mien_error *error)
{
    memory_arena arena = {.limit = CASCADE_TREE_MEMORY};
    cascade_reader reader = {.error = error};
    buffer *all[6];
    cascade_reader_buffers(&reader, all);
    for (int i = 0; i < 6; i++)
        buffer_init(all[i], CASCADE_PART_MEMORY);
    const xml_element *root = NULL;
    mien_status status = xml_tree_parse(bytes, length, &arena, &root, error);
    if (!status)
        status = cascade_read_root(&reader, root);
    for (int i = 0; i < 6; i++)
        if (all[i]->failed)
            status = buffer_status(all[i], error);
    if (!status)
        cascade_take(&reader, cascade);
    for (int i = 0; i < 6; i++)
        buffer_done(all[i]);
    memory_arena_done(&arena);
    return status;
}

void cascade_done(cascade *cascade)
{
    if (!cascade)
        return;
    memory_free(cascade->stages);
    memory_free(cascade->trees);
    memory_free(cascade->nodes);
    memory_free(cascade->leaves);
    memory_free(cascade->subsets);
    memory_free(cascade->features);
    memset(cascade, 0, sizeof *cascade);
}
