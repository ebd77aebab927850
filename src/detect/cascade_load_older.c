/* The older form of cascade files, whose nodes carry their own features: the root's <size> "w h", then
 * stages/_/{trees/_/_/ {feature, threshold, left_val|left_node, right_val|right_node}, stage_threshold}. Leaves are
 * numbered as they come. */
#include <math.h>

#include "base/error.h"
#include "detect/cascade_reader.h"

/* A child of an older node: another node, or a leaf that is added. */
static mien_status cascade_read_older_child(cascade_reader *reader, const xml_element *element, const char *node_name,
                                            const char *leaf_name, int32_t first_leaf, int32_t *child)
{
    double value;
    if (xml_tree_child(element, node_name)) {
        mien_status status = cascade_reader_one_number(reader, element, node_name, &value);
        if (!status && (value < 1 || value > CASCADE_MAX_TREE_NODES || value != rint(value)))
            status = cascade_reader_bad(reader, element, "a child's number is out of range");
        if (!status)
            *child = (int32_t)value;
        return status;
    }
    mien_status status = cascade_reader_one_number(reader, element, leaf_name, &value);
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
        return cascade_reader_bad(reader, element, "a node has no <feature>");
    double threshold;
    cascade_node node = {.feature = (int32_t)(reader->features.length / sizeof(cascade_feature))};
    mien_status status = cascade_reader_haar_feature(reader, feature);
    if (!status)
        status = cascade_reader_one_number(reader, element, "threshold", &threshold);
    if (!status)
        status = cascade_read_older_child(reader, element, "left_node", "left_val", first_leaf, &node.left);
    if (!status)
        status = cascade_read_older_child(reader, element, "right_node", "right_val", first_leaf, &node.right);
    if (status)
        return status;
    if ((node.left > 0 && node.left <= index) || (node.right > 0 && node.right <= index))
        return cascade_reader_bad(reader, element, "a node's child does not come after it");
    node.threshold = (float)threshold;
    return buffer_append(&reader->nodes, &node, sizeof node);
}

static mien_status cascade_read_older_stage(cascade_reader *reader, const xml_element *element)
{
    double threshold;
    mien_status status = cascade_reader_one_number(reader, element, "stage_threshold", &threshold);
    if (status)
        return status;
    const xml_element *trees = xml_tree_child(element, "trees");
    if (!trees || !trees->first)
        return cascade_reader_bad(reader, element, "a stage has no <trees>");
    int32_t first = (int32_t)(reader->trees.length / sizeof(cascade_tree));
    for (const xml_element *each = trees->first; each && !status; each = each->next) {
        cascade_tree tree = {.first_node = (int32_t)(reader->nodes.length / sizeof(cascade_node)),
                             .first_leaf = (int32_t)(reader->leaves.length / sizeof(float))};
        for (const xml_element *node = each->first; node && !status; node = node->next)
            status = cascade_read_older_node(reader, node, tree.node_count++, tree.first_leaf);
        if (!status && (!tree.node_count || tree.node_count > CASCADE_MAX_TREE_NODES ||
                        reader->leaves.length / sizeof(float) != (size_t)(tree.first_leaf + tree.node_count + 1)))
            status = cascade_reader_bad(reader, each, "a tree has one leaf more than it has nodes");
        if (!status)
            status = buffer_append(&reader->trees, &tree, sizeof tree);
    }
    return status ? status : cascade_reader_add_stage(reader, first, threshold);
}

mien_status cascade_load_older(cascade_reader *reader, const xml_element *root)
{
    const xml_element *size = xml_tree_child(root, "size"), *stages = xml_tree_child(root, "stages");
    if (!size || !stages || !stages->first)
        return cascade_reader_bad(reader, root, "neither form of a cascade");
    const char *at = size->text;
    double width, height;
    if (!cascade_reader_number(&at, &width) || !cascade_reader_number(&at, &height) || !cascade_reader_at_end(at))
        return cascade_reader_bad(reader, size, "<size> is not two numbers");
    mien_status status = cascade_reader_window(reader, size, width, height);
    for (const xml_element *stage = stages->first; stage && !status; stage = stage->next)
        status = cascade_read_older_stage(reader, stage);
    return status;
}
