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

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "detect/xml_tree.h"

enum {
    CASCADE_TREE_MEMORY = 256 << 20,
    CASCADE_PART_MEMORY = 64 << 20,
    CASCADE_MAX_TREE_NODES = 4096,
    CASCADE_WEIGHT_LIMIT = 1 << 16,
    CASCADE_LBP_CATEGORIES = 256
};

/* What OpenCV takes off each stage's threshold when it loads one. */
static const float CASCADE_THRESHOLD_MARGIN = 1e-5f;

typedef struct cascade_reader {
    buffer stages, trees, nodes, leaves, subsets, features;
    cascade_kind kind;
    int width, height;
    locale_t numbers; /* the C locale: decimal points whatever the program has set */
    mien_error *error;
} cascade_reader;

static mien_status cascade_bad(const cascade_reader *reader, const xml_element *element, const char *what)
{
    return error_set(reader->error, MIEN_EFORMAT, "cascade line %zu: %s", element ? element->line : 0, what);
}

/* The next number of a text; false at its end or where something else stands. */
static bool cascade_number(const cascade_reader *reader, const char **at, double *value)
{
    const char *text = *at + strspn(*at, " \t\r\n");
    char *end;
    double found = strtod_l(text, &end, reader->numbers);
    if (end == text || !isfinite(found) || (*end && !strchr(" \t\r\n", *end)))
        return false;
    *at = end;
    *value = found;
    return true;
}

static bool cascade_integer(const cascade_reader *reader, const char **at, double low, double high, int32_t *value)
{
    double found;
    if (!cascade_number(reader, at, &found) || found < low || found > high || found != rint(found))
        return false;
    *value = (int32_t)found;
    return true;
}

static bool cascade_at_end(const char *at)
{
    return !at[strspn(at, " \t\r\n")];
}

static mien_status cascade_one_number(const cascade_reader *reader, const xml_element *parent, const char *name,
                                      double *value)
{
    const xml_element *element = xml_tree_child(parent, name);
    const char *at = element ? element->text : "";
    if (!cascade_number(reader, &at, value) || !cascade_at_end(at))
        return error_set(reader->error, MIEN_EFORMAT, "cascade line %zu: <%s> is not there or not a number",
                         element ? element->line : parent->line, name);
    return MIEN_OK;
}

/* A tilted rectangle reaches `height` to the left of its top corner and width + height below it. */
static bool cascade_rect_fits(const cascade_reader *reader, const cascade_rect *rect, bool tilted)
{
    if (rect->width < 1 || rect->height < 1 || rect->x < 0 || rect->y < 0)
        return false;
    if (tilted)
        return rect->x >= rect->height && rect->x + rect->width <= reader->width &&
               rect->y + rect->width + rect->height <= reader->height;
    return rect->x + rect->width <= reader->width && rect->y + rect->height <= reader->height;
}

static bool cascade_read_rect(const cascade_reader *reader, const char **at, cascade_rect *rect)
{
    int32_t side[4];
    for (int i = 0; i < 4; i++)
        if (!cascade_integer(reader, at, 0, CASCADE_MAX_SIDE, &side[i]))
            return false;
    *rect = (cascade_rect){(int16_t)side[0], (int16_t)side[1], (int16_t)side[2], (int16_t)side[3]};
    return true;
}

static mien_status cascade_read_haar_feature(cascade_reader *reader, const xml_element *element)
{
    cascade_feature feature = {0};
    const xml_element *tilted = xml_tree_child(element, "tilted"), *rects = xml_tree_child(element, "rects");
    if (tilted) {
        const char *at = tilted->text;
        int32_t flag;
        if (!cascade_integer(reader, &at, 0, 1, &flag))
            return cascade_bad(reader, tilted, "<tilted> is neither 0 nor 1");
        feature.tilted = flag;
    }
    if (!rects || !rects->child_count || rects->child_count > CASCADE_RECTS)
        return cascade_bad(reader, element, "a feature has one to three rectangles");
    int count = 0;
    for (const xml_element *rect = rects->first; rect; rect = rect->next, count++) {
        const char *at = rect->text;
        double weight;
        if (!cascade_read_rect(reader, &at, &feature.rect[count]) || !cascade_number(reader, &at, &weight) ||
            fabs(weight) > CASCADE_WEIGHT_LIMIT || !cascade_at_end(at))
            return cascade_bad(reader, rect, "a rectangle is four whole numbers and a weight");
        if (!cascade_rect_fits(reader, &feature.rect[count], feature.tilted))
            return cascade_bad(reader, rect, "a rectangle reaches beyond the window");
        feature.weight[count] = (float)weight;
    }
    return buffer_append(&reader->features, &feature, sizeof feature);
}

static mien_status cascade_read_lbp_feature(cascade_reader *reader, const xml_element *element)
{
    const xml_element *rect = xml_tree_child(element, "rect");
    const char *at = rect ? rect->text : "";
    cascade_feature feature = {0};
    if (!cascade_read_rect(reader, &at, &feature.rect[0]) || !cascade_at_end(at))
        return cascade_bad(reader, element, "a feature's <rect> is four whole numbers");
    cascade_rect all = feature.rect[0];
    all.width = (int16_t)(3 * all.width);
    all.height = (int16_t)(3 * all.height);
    if (!cascade_rect_fits(reader, &all, false))
        return cascade_bad(reader, rect, "a feature reaches beyond the window");
    return buffer_append(&reader->features, &feature, sizeof feature);
}

static mien_status cascade_read_features(cascade_reader *reader, const xml_element *root)
{
    const xml_element *features = xml_tree_child(root, "features");
    if (!features || !features->first)
        return cascade_bad(reader, root, "<features> is missing");
    mien_status status = MIEN_OK;
    for (const xml_element *element = features->first; element && !status; element = element->next)
        status = reader->kind == CASCADE_LBP ? cascade_read_lbp_feature(reader, element)
                                             : cascade_read_haar_feature(reader, element);
    return status;
}

/* One node of internalNodes; `index` is its place in its tree. */
static bool cascade_read_node(cascade_reader *reader, const char **at, int32_t index)
{
    cascade_node node = {0};
    if (!cascade_integer(reader, at, -CASCADE_MAX_TREE_NODES, CASCADE_MAX_TREE_NODES, &node.left) ||
        !cascade_integer(reader, at, -CASCADE_MAX_TREE_NODES, CASCADE_MAX_TREE_NODES, &node.right) ||
        !cascade_integer(reader, at, 0, INT32_MAX, &node.feature))
        return false;
    if ((node.left > 0 && node.left <= index) || (node.right > 0 && node.right <= index))
        return false; /* would run in a circle */
    if (reader->kind == CASCADE_LBP) {
        for (int i = 0; i < CASCADE_SUBSET_WORDS; i++) {
            int32_t word;
            if (!cascade_integer(reader, at, INT32_MIN, INT32_MAX, &word) ||
                buffer_append(&reader->subsets, &word, sizeof word))
                return false;
        }
    } else {
        double threshold;
        if (!cascade_number(reader, at, &threshold))
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
        return cascade_bad(reader, element, "a tree has <internalNodes> and <leafValues>");
    cascade_tree tree = {.first_node = (int32_t)(reader->nodes.length / sizeof(cascade_node)),
                         .first_leaf = (int32_t)(reader->leaves.length / sizeof(float))};
    const char *at = nodes->text;
    while (!cascade_at_end(at) && tree.node_count < CASCADE_MAX_TREE_NODES)
        if (!cascade_read_node(reader, &at, tree.node_count++))
            return cascade_bad(reader, nodes, "a node is not two children, a feature and a test");
    int32_t leaf_count = 0;
    at = leaves->text;
    while (!cascade_at_end(at) && leaf_count <= tree.node_count) {
        double value;
        if (!cascade_number(reader, &at, &value))
            return cascade_bad(reader, leaves, "a leaf is not a number");
        float leaf = (float)value;
        if (buffer_append(&reader->leaves, &leaf, sizeof leaf))
            return buffer_status(&reader->leaves, reader->error);
        leaf_count++;
    }
    if (!tree.node_count || leaf_count != tree.node_count + 1 || !cascade_at_end(at))
        return cascade_bad(reader, element, "a tree has one leaf more than it has nodes");
    return buffer_append(&reader->trees, &tree, sizeof tree);
}

static mien_status cascade_add_stage(cascade_reader *reader, int32_t first_tree, double threshold)
{
    cascade_stage stage = {
        .first_tree = first_tree,
        .tree_count = (int32_t)(reader->trees.length / sizeof(cascade_tree)) - first_tree,
        .threshold = (float)threshold - CASCADE_THRESHOLD_MARGIN,
    };
    return buffer_append(&reader->stages, &stage, sizeof stage);
}

static mien_status cascade_read_stage(cascade_reader *reader, const xml_element *element)
{
    double threshold;
    mien_status status = cascade_one_number(reader, element, "stageThreshold", &threshold);
    if (status)
        return status;
    const xml_element *weak = xml_tree_child(element, "weakClassifiers");
    if (!weak || !weak->first)
        return cascade_bad(reader, element, "a stage has no <weakClassifiers>");
    int32_t first = (int32_t)(reader->trees.length / sizeof(cascade_tree));
    for (const xml_element *tree = weak->first; tree && !status; tree = tree->next)
        status = cascade_read_tree(reader, tree);
    return status ? status : cascade_add_stage(reader, first, threshold);
}

static mien_status cascade_set_window(cascade_reader *reader, const xml_element *element, double width, double height)
{
    if (width != rint(width) || height != rint(height) || width < 3 || height < 3 || width > CASCADE_MAX_SIDE ||
        height > CASCADE_MAX_SIDE)
        return cascade_bad(reader, element, "the window's sides are not within 3..256");
    reader->width = (int)width;
    reader->height = (int)height;
    return MIEN_OK;
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
    mien_status status = cascade_one_number(reader, root, "width", &width);
    if (!status)
        status = cascade_one_number(reader, root, "height", &height);
    if (!status)
        status = cascade_set_window(reader, root, width, height);
    const xml_element *parameters = xml_tree_child(root, "featureParams");
    if (!status && !parameters)
        status = cascade_bad(reader, root, "<featureParams> is missing");
    if (!status)
        status = cascade_one_number(reader, parameters, "maxCatCount", &categories);
    if (!status && categories != (reader->kind == CASCADE_LBP ? CASCADE_LBP_CATEGORIES : 0))
        status = cascade_bad(reader, parameters, "<maxCatCount> does not go with the features");
    return status;
}

static mien_status cascade_read_present(cascade_reader *reader, const xml_element *root)
{
    mien_status status = cascade_read_header(reader, root);
    const xml_element *stages = xml_tree_child(root, "stages");
    if (!status && (!stages || !stages->first))
        status = cascade_bad(reader, root, "<stages> is missing");
    for (const xml_element *stage = status ? NULL : stages->first; stage && !status; stage = stage->next)
        status = cascade_read_stage(reader, stage);
    return status ? status : cascade_read_features(reader, root);
}

/* A child of an older node: another node, or a leaf that is added. */
static mien_status cascade_read_older_child(cascade_reader *reader, const xml_element *element, const char *node_name,
                                            const char *leaf_name, int32_t first_leaf, int32_t *child)
{
    double value;
    if (xml_tree_child(element, node_name)) {
        mien_status status = cascade_one_number(reader, element, node_name, &value);
        if (!status && (value < 1 || value > CASCADE_MAX_TREE_NODES || value != rint(value)))
            status = cascade_bad(reader, element, "a child's number is out of range");
        if (!status)
            *child = (int32_t)value;
        return status;
    }
    mien_status status = cascade_one_number(reader, element, leaf_name, &value);
    if (status)
        return status;
    *child = -((int32_t)(reader->leaves.length / sizeof(float)) - first_leaf);
    float leaf = (float)value;
    return buffer_append(&reader->leaves, &leaf, sizeof leaf);
}

static mien_status cascade_read_older_node(cascade_reader *reader, const xml_element *element, int32_t index,
                                           int32_t first_leaf)
{
    const xml_element *feature = xml_tree_child(element, "feature");
    if (!feature)
        return cascade_bad(reader, element, "a node has no <feature>");
    double threshold;
    cascade_node node = {.feature = (int32_t)(reader->features.length / sizeof(cascade_feature))};
    mien_status status = cascade_read_haar_feature(reader, feature);
    if (!status)
        status = cascade_one_number(reader, element, "threshold", &threshold);
    if (!status)
        status = cascade_read_older_child(reader, element, "left_node", "left_val", first_leaf, &node.left);
    if (!status)
        status = cascade_read_older_child(reader, element, "right_node", "right_val", first_leaf, &node.right);
    if (status)
        return status;
    if ((node.left > 0 && node.left <= index) || (node.right > 0 && node.right <= index))
        return cascade_bad(reader, element, "a node's child does not come after it");
    node.threshold = (float)threshold;
    return buffer_append(&reader->nodes, &node, sizeof node);
}

static mien_status cascade_read_older_stage(cascade_reader *reader, const xml_element *element)
{
    double threshold;
    mien_status status = cascade_one_number(reader, element, "stage_threshold", &threshold);
    const xml_element *trees = xml_tree_child(element, "trees");
    if (!status && (!trees || !trees->first))
        status = cascade_bad(reader, element, "a stage has no <trees>");
    int32_t first = (int32_t)(reader->trees.length / sizeof(cascade_tree));
    for (const xml_element *each = status ? NULL : trees->first; each && !status; each = each->next) {
        cascade_tree tree = {.first_node = (int32_t)(reader->nodes.length / sizeof(cascade_node)),
                             .first_leaf = (int32_t)(reader->leaves.length / sizeof(float))};
        for (const xml_element *node = each->first; node && !status; node = node->next)
            status = cascade_read_older_node(reader, node, tree.node_count++, tree.first_leaf);
        if (!status && (!tree.node_count || tree.node_count > CASCADE_MAX_TREE_NODES ||
                        reader->leaves.length / sizeof(float) != (size_t)(tree.first_leaf + tree.node_count + 1)))
            status = cascade_bad(reader, each, "a tree has one leaf more than it has nodes");
        if (!status)
            status = buffer_append(&reader->trees, &tree, sizeof tree);
    }
    return status ? status : cascade_add_stage(reader, first, threshold);
}

static mien_status cascade_read_older(cascade_reader *reader, const xml_element *root)
{
    const xml_element *size = xml_tree_child(root, "size"), *stages = xml_tree_child(root, "stages");
    if (!size || !stages || !stages->first)
        return cascade_bad(reader, root, "neither form of a cascade");
    const char *at = size->text;
    double width, height;
    if (!cascade_number(reader, &at, &width) || !cascade_number(reader, &at, &height) || !cascade_at_end(at))
        return cascade_bad(reader, size, "<size> is not two numbers");
    mien_status status = cascade_set_window(reader, size, width, height);
    for (const xml_element *stage = stages->first; stage && !status; stage = stage->next)
        status = cascade_read_older_stage(reader, stage);
    return status;
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
                             : cascade_read_older(reader, top);
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
    mien_status status = MIEN_OK;
    reader.numbers = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!reader.numbers)
        status = error_set(error, MIEN_ENOMEM, "cascade: no memory for the C locale");
    if (!status)
        status = xml_tree_parse(bytes, length, &arena, &root, error);
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
    if (reader.numbers)
        freelocale(reader.numbers);
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
