/* XML by libxml2's SAX interface: the fastest of its interfaces, and the one that lets a DOCTYPE be refused before
 * anything in it is looked at. Entities can therefore not be declared, nothing outside the document is ever opened, and
 * the tree's memory is bounded by the arena. Names are few and repeat, so the last ones are shared. */
#include "detect/xml_tree.h"

#include <limits.h>
#include <string.h>

#include <libxml/parser.h>

#include "base/buffer.h"
#include "base/error.h"

enum { XML_MAX_DEPTH = 64, XML_MAX_TEXT = 1 << 20, XML_KNOWN_NAMES = 32 };

typedef struct xml_builder {
    memory_arena *arena;
    xmlParserCtxtPtr parser;
    xml_element *root;
    xml_element *open[XML_MAX_DEPTH]; /* the path to the current element */
    xml_element *last[XML_MAX_DEPTH]; /* last child so far of each */
    size_t depth;
    buffer text;
    const char *names[XML_KNOWN_NAMES];
    size_t name_count;
    mien_error *error;
    mien_status status; /* first thing that went wrong */
} xml_builder;

static void xml_builder_fail(xml_builder *builder, mien_status status)
{
    builder->status = status;
    xmlStopParser(builder->parser);
}

static void xml_builder_exhausted(xml_builder *builder)
{
    xml_builder_fail(builder, builder->arena->limited
                                  ? error_set(builder->error, MIEN_ELIMIT, "XML: the document needs too much memory")
                                  : error_no_memory(builder->error, 0));
}

static size_t xml_builder_line(const xml_builder *builder)
{
    return builder->parser->input && builder->parser->input->line > 0 ? (size_t)builder->parser->input->line : 0;
}

static const char *xml_builder_copy(xml_builder *builder, const char *text, size_t length)
{
    char *copy = memory_arena_take(builder->arena, length + 1, 1);
    if (!copy) {
        xml_builder_exhausted(builder);
        return NULL;
    }
    memcpy(copy, text, length);
    return copy;
}

static const char *xml_builder_name(xml_builder *builder, const char *name)
{
    for (size_t i = 0; i < builder->name_count; i++)
        if (!strcmp(builder->names[i], name))
            return builder->names[i];
    const char *copy = xml_builder_copy(builder, name, strlen(name));
    if (copy && builder->name_count < XML_KNOWN_NAMES)
        builder->names[builder->name_count++] = copy;
    return copy;
}

static void xml_on_start(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                         int namespace_count, const xmlChar **namespaces, int attribute_count, int default_count,
                         const xmlChar **attributes)
{
    (void)prefix, (void)uri, (void)namespace_count, (void)namespaces;
    (void)attribute_count, (void)default_count, (void)attributes;
    xml_builder *builder = context;
    if (builder->status)
        return;
    if (builder->depth == XML_MAX_DEPTH) {
        xml_builder_fail(builder, error_set(builder->error, MIEN_ELIMIT, "XML line %zu: more than %d levels",
                                            xml_builder_line(builder), XML_MAX_DEPTH));
        return;
    }
    const char *own_name = xml_builder_name(builder, (const char *)name);
    xml_element *element = own_name ? memory_arena_take(builder->arena, 1, sizeof *element) : NULL;
    if (!element) {
        if (!builder->status)
            xml_builder_exhausted(builder);
        return;
    }
    element->name = own_name;
    element->text = "";
    element->line = xml_builder_line(builder);
    if (!builder->depth) {
        builder->root = element;
    } else {
        xml_element **last = &builder->last[builder->depth - 1];
        *(*last ? &(*last)->next : &builder->open[builder->depth - 1]->first) = element;
        *last = element;
        builder->open[builder->depth - 1]->child_count++;
    }
    builder->last[builder->depth] = NULL;
    builder->open[builder->depth++] = element;
    buffer_clear(&builder->text);
}

static void xml_on_end(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    (void)name, (void)prefix, (void)uri;
    xml_builder *builder = context;
    if (builder->status || !builder->depth)
        return;
    xml_element *element = builder->open[--builder->depth];
    if (!element->first && builder->text.length) {
        element->text = xml_builder_copy(builder, buffer_text(&builder->text), builder->text.length);
        element->text_length = builder->text.length;
    }
    buffer_clear(&builder->text);
}

static void xml_on_text(void *context, const xmlChar *text, int length)
{
    xml_builder *builder = context;
    if (builder->status || !builder->depth || builder->open[builder->depth - 1]->first)
        return;
    if (buffer_append(&builder->text, text, (size_t)length))
        xml_builder_fail(builder, buffer_status(&builder->text, builder->error));
}

static void xml_on_doctype(void *context, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    (void)name, (void)external, (void)system;
    xml_builder *builder = context;
    if (!builder->status)
        xml_builder_fail(builder, error_set(builder->error, MIEN_EFORMAT, "XML: a DOCTYPE is not allowed here"));
}

static void xml_on_error(void *context, xmlErrorPtr found)
{
    xml_builder *builder = context;
    if (builder->status || found->level < XML_ERR_ERROR)
        return;
    if (builder->depth && found->code == XML_ERR_DOCUMENT_END) {
        builder->status = error_set(builder->error, MIEN_EFORMAT, "XML line %d: the document ends inside <%.60s>",
                                    found->line, builder->open[builder->depth - 1]->name);
        return;
    }
    const char *message = found->message ? found->message : "unknown error";
    int length = (int)strcspn(message, "\r\n");
    mien_status status = found->code == XML_ERR_NO_MEMORY ? MIEN_ENOMEM : MIEN_EFORMAT;
    builder->status =
        error_set(builder->error, status, "XML line %d: %.*s", found->line, length > 160 ? 160 : length, message);
}

static mien_status xml_builder_run(xml_builder *builder, const void *bytes, size_t length)
{
    xmlSAXHandler handler = {
        .initialized = XML_SAX2_MAGIC,
        .startElementNs = xml_on_start,
        .endElementNs = xml_on_end,
        .characters = xml_on_text,
        .cdataBlock = xml_on_text,
        .internalSubset = xml_on_doctype,
        .serror = xml_on_error,
    };
    builder->parser = xmlCreatePushParserCtxt(&handler, builder, NULL, 0, NULL);
    if (!builder->parser)
        return error_no_memory(builder->error, sizeof *builder->parser);
    xmlCtxtUseOptions(builder->parser, XML_PARSE_NONET);
    int failed = xmlParseChunk(builder->parser, bytes, (int)length, 1);
    if (!builder->status && (failed || !builder->root || builder->depth))
        builder->status = error_set(builder->error, MIEN_EFORMAT, "XML: the document is incomplete");
    xmlFreeParserCtxt(builder->parser);
    return builder->status;
}

mien_status xml_tree_parse(const void *bytes, size_t length, memory_arena *arena, const xml_element **root,
                           mien_error *error)
{
    if (!length)
        return error_set(error, MIEN_EFORMAT, "XML: the document is empty");
    if (length > INT_MAX)
        return error_set(error, MIEN_ELIMIT, "XML: the document is larger than %d bytes", INT_MAX);
    xml_builder *builder = memory_zeroed(1, sizeof *builder);
    if (!builder)
        return error_no_memory(error, sizeof *builder);
    builder->arena = arena;
    builder->error = error;
    buffer_init(&builder->text, XML_MAX_TEXT);
    mien_status status = xml_builder_run(builder, bytes, length);
    if (!status)
        *root = builder->root;
    buffer_done(&builder->text);
    memory_free(builder);
    return status;
}

const xml_element *xml_tree_child(const xml_element *element, const char *name)
{
    for (const xml_element *child = element ? element->first : NULL; child; child = child->next)
        if (!strcmp(child->name, name))
            return child;
    return NULL;
}
