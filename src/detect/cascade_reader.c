/* Numbers, rectangles and features of cascade files. Every number is held to its range here, so that nothing that
 * runs a cascade has to look at it again. */
#include "detect/cascade_reader.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"

enum { CASCADE_WEIGHT_LIMIT = 1 << 16 };

/* What OpenCV takes off each stage's threshold when it loads one. */
static const float CASCADE_THRESHOLD_MARGIN = 1e-5f;

mien_status cascade_reader_bad(const cascade_reader *reader, const xml_element *element, const char *what)
{
    return error_set(reader->error, MIEN_EFORMAT, "cascade line %zu: %s", element ? element->line : 0, what);
}

bool cascade_reader_number(const char **at, double *value)
{
    const char *text = *at + strspn(*at, " \t\r\n");
    char *end;
    double found = number_read(text, &end);
    if (end == text || !(fabs(found) <= FLT_MAX) || (*end && !strchr(" \t\r\n", *end)))
        return false;
    *at = end;
    *value = found;
    return true;
}

bool cascade_reader_integer(const char **at, double low, double high, int32_t *value)
{
    double found;
    if (!cascade_reader_number(at, &found) || found < low || found > high || found != rint(found))
        return false;
    *value = (int32_t)found;
    return true;
}

bool cascade_reader_at_end(const char *at)
{
    return !at[strspn(at, " \t\r\n")];
}

mien_status cascade_reader_one_number(const cascade_reader *reader, const xml_element *parent, const char *name,
                                      double *value)
{
    const xml_element *element = xml_tree_child(parent, name);
    const char *at = element ? element->text : "";
    if (!cascade_reader_number(&at, value) || !cascade_reader_at_end(at))
        return error_set(reader->error, MIEN_EFORMAT, "cascade line %zu: <%s> is not there or not a number",
                         element ? element->line : parent->line, name);
    return MIEN_OK;
}

/* A tilted rectangle reaches `height` to the left of its top corner and width + height below it. */
bool cascade_reader_rect_fits(const cascade_reader *reader, const cascade_rect *rect, bool tilted)
{
    if (rect->width < 1 || rect->height < 1 || rect->x < 0 || rect->y < 0)
        return false;
    if (tilted)
        return rect->x >= rect->height && rect->x + rect->width <= reader->width &&
               rect->y + rect->width + rect->height <= reader->height;
    return rect->x + rect->width <= reader->width && rect->y + rect->height <= reader->height;
}

bool cascade_reader_rect(const char **at, cascade_rect *rect)
{
    int32_t side[4];
    for (int i = 0; i < 4; i++)
        if (!cascade_reader_integer(at, 0, CASCADE_MAX_SIDE, &side[i]))
            return false;
    *rect = (cascade_rect){(int16_t)side[0], (int16_t)side[1], (int16_t)side[2], (int16_t)side[3]};
    return true;
}

mien_status cascade_reader_haar_feature(cascade_reader *reader, const xml_element *element)
{
    cascade_feature feature = {0};
    const xml_element *tilted = xml_tree_child(element, "tilted"), *rects = xml_tree_child(element, "rects");
    if (tilted) {
        const char *at = tilted->text;
        int32_t flag;
        if (!cascade_reader_integer(&at, 0, 1, &flag))
            return cascade_reader_bad(reader, tilted, "<tilted> is neither 0 nor 1");
        feature.tilted = flag;
    }
    if (!rects || !rects->child_count || rects->child_count > CASCADE_RECTS)
        return cascade_reader_bad(reader, element, "a feature has one to three rectangles");
    int count = 0;
    for (const xml_element *rect = rects->first; rect; rect = rect->next, count++) {
        const char *at = rect->text;
        double weight;
        if (!cascade_reader_rect(&at, &feature.rect[count]) || !cascade_reader_number(&at, &weight) ||
            fabs(weight) > CASCADE_WEIGHT_LIMIT || !cascade_reader_at_end(at))
            return cascade_reader_bad(reader, rect, "a rectangle is four whole numbers and a weight");
        if (!cascade_reader_rect_fits(reader, &feature.rect[count], feature.tilted))
            return cascade_reader_bad(reader, rect, "a rectangle reaches beyond the window");
        feature.weight[count] = (float)weight;
    }
    return buffer_append(&reader->features, &feature, sizeof feature);
}

mien_status cascade_reader_add_stage(cascade_reader *reader, int32_t first_tree, double threshold)
{
    cascade_stage stage = {
        .first_tree = first_tree,
        .tree_count = (int32_t)(reader->trees.length / sizeof(cascade_tree)) - first_tree,
        .threshold = (float)threshold - CASCADE_THRESHOLD_MARGIN,
    };
    return buffer_append(&reader->stages, &stage, sizeof stage);
}

mien_status cascade_reader_window(cascade_reader *reader, const xml_element *element, double width, double height)
{
    if (width != rint(width) || height != rint(height) || width < 3 || height < 3 || width > CASCADE_MAX_SIDE ||
        height > CASCADE_MAX_SIDE)
        return cascade_reader_bad(reader, element, "the window's sides are not within 3..256");
    reader->width = (int)width;
    reader->height = (int)height;
    return MIEN_OK;
}
