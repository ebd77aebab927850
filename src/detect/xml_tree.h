/* An XML document as a tree of elements, for small trusted-by-nobody files such as cascades. */
#ifndef DETECT_XML_TREE_H
#define DETECT_XML_TREE_H

#include "base/memory.h"

#include <mien/base.h>

/** One element. `text` is the character data of an element without children ("" otherwise). Owned by the arena. */
typedef struct xml_element {
    const char *name;
    const char *text;
    size_t text_length;
    size_t line;
    size_t child_count;
    struct xml_element *first, *next; /* children and siblings in document order */
} xml_element;

/**
 * Parse a whole document. No DOCTYPE (so no entities), no network, no XInclude; depth is libxml2's limit of 256.
 * @param arena  [out] owns everything `root` reaches, names included; its limit bounds the memory of the tree.
 * @return MIEN_OK, MIEN_EFORMAT (not XML, truncated, a DOCTYPE), MIEN_ELIMIT, MIEN_ENOMEM.
 */
mien_status xml_tree_parse(const void *bytes, size_t length, memory_arena *arena, const xml_element **root,
                           mien_error *error);

/** First child of that name, or NULL. `element` may be NULL. */
const xml_element *xml_tree_child(const xml_element *element, const char *name);

#endif
