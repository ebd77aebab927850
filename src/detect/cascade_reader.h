/* What the readers of the two XML forms of cascades share: checked numbers, features, stages. */
#ifndef DETECT_CASCADE_READER_H
#define DETECT_CASCADE_READER_H

#include "base/buffer.h"
#include "detect/cascade.h"
#include "detect/xml_tree.h"

enum { CASCADE_MAX_TREE_NODES = 4096 };

/** What has been read so far, as arrays in buffers. */
typedef struct cascade_reader {
    buffer stages, trees, nodes, leaves, subsets, features;
    cascade_kind kind;
    int width, height;
    mien_error *error;
} cascade_reader;

/** MIEN_EFORMAT with the element's line. */
mien_status cascade_reader_bad(const cascade_reader *reader, const xml_element *element, const char *what);

/** The next number of a text; false at its end or where something else stands. */
bool cascade_reader_number(const char **at, double *value);
/** The same, whole and within low..high. */
bool cascade_reader_integer(const char **at, double low, double high, int32_t *value);
bool cascade_reader_at_end(const char *at);
/** The number that is the content of a child. */
mien_status cascade_reader_one_number(const cascade_reader *reader, const xml_element *parent, const char *name,
                                      double *value);

bool cascade_reader_rect(const char **at, cascade_rect *rect);
bool cascade_reader_rect_fits(const cascade_reader *reader, const cascade_rect *rect, bool tilted);
/** Append a feature: <rects>, <tilted>. */
mien_status cascade_reader_haar_feature(cascade_reader *reader, const xml_element *element);
/** Append a stage of all trees from first_tree on. */
mien_status cascade_reader_add_stage(cascade_reader *reader, int32_t first_tree, double threshold);
/** Set the window's size, 3..CASCADE_MAX_SIDE each way. */
mien_status cascade_reader_window(cascade_reader *reader, const xml_element *element, double width, double height);

/** Read everything from the root of the older form. */
mien_status cascade_load_older(cascade_reader *reader, const xml_element *root);

#endif
