/* Reading HDF5: the part of the format that Keras files use (HDF5 File Format Specification 3.0), from memory.
 *
 * Own code rather than libhdf5, because model files come from strangers and that library hangs or reads out of bounds
 * on damaged ones (a minute of fuzzing 1.10.8 found an endless loop in its global heap). Understood are superblocks 0
 * to 3, object headers 1 and 2, groups as symbol tables or links, attributes, fixed and variable texts, floats
 * of 16, 32 and 64 bits, compact, contiguous and chunked storage, gzip and shuffle. Nothing here can reach another
 * file.
 */
#ifndef MODEL_HDF5_H
#define MODEL_HDF5_H

#include "base/error.h"

#include <stdbool.h>

enum { HDF5_MAX_RANK = 8 };

/** Plain data; nothing to free. `bytes` is borrowed. */
typedef struct hdf5_file {
    const uint8_t *bytes;
    size_t length;
    uint64_t root; /* address of the root group's object header */
    size_t steps;  /* structures that may still be visited: bounds the time that a hostile file can take */
    mien_error *error;
} hdf5_file;

/** Kinds of header messages that matter here. */
enum {
    HDF5_DATASPACE = 0x01,
    HDF5_LINK_INFO = 0x02,
    HDF5_DATATYPE = 0x03,
    HDF5_LINK = 0x06,
    HDF5_LAYOUT = 0x08,
    HDF5_FILTERS = 0x0b,
    HDF5_ATTRIBUTE = 0x0c,
    HDF5_CONTINUATION = 0x10,
    HDF5_SYMBOL_TABLE = 0x11,
    HDF5_ATTRIBUTE_INFO = 0x15
};

typedef struct hdf5_message {
    unsigned type;
    bool shared; /* the content is elsewhere */
    const uint8_t *data;
    size_t size;
} hdf5_message;

/** Walks the messages of one object. */
typedef struct hdf5_cursor {
    struct {
        uint64_t begin, end;
    } blocks[64];
    int block_count, block;
    uint64_t at;
    int version;
    bool creation_order;
    size_t left; /* messages still to come, version 1 */
} hdf5_cursor;

typedef enum hdf5_kind { HDF5_KIND_OTHER = 0, HDF5_KIND_FLOAT, HDF5_KIND_TEXT, HDF5_KIND_VARIABLE_TEXT } hdf5_kind;

typedef struct hdf5_type {
    hdf5_kind kind;
    size_t size; /* bytes of one element as stored */
    bool big_endian;
} hdf5_type;

typedef struct hdf5_space {
    int rank;
    uint64_t dim[HDF5_MAX_RANK];
    size_t count;
} hdf5_space;

/** An attribute or a data set before its content is read. */
typedef struct hdf5_value {
    hdf5_type type;
    hdf5_space space;
    const uint8_t *data; /* attributes only */
    size_t size;
} hdf5_value;

/** `error` is where every later call on the file reports. */
mien_status hdf5_open(const uint8_t *bytes, size_t length, hdf5_file *file, mien_error *error);

/** Address of the object at a path from the root, "a/b:0". MIEN_ENOTFOUND; soft and external links count as absent. */
mien_status hdf5_find(hdf5_file *file, const char *path, uint64_t *address);
/** MIEN_ENOTFOUND when the object has no such attribute. */
mien_status hdf5_attribute(hdf5_file *file, uint64_t object, const char *name, hdf5_value *attribute);
/** Text `index` of an attribute of texts, borrowed from the file, without a NUL after it. */
mien_status hdf5_text(hdf5_file *file, const hdf5_value *attribute, size_t index, const char **text, size_t *length);
/** Type and shape of a data set. */
mien_status hdf5_dataset(hdf5_file *file, uint64_t object, hdf5_value *dataset);
/** All numbers of a data set of floats as f32; `numbers` holds space.count. Never more than that is unfolded. */
mien_status hdf5_floats(hdf5_file *file, uint64_t object, const hdf5_value *dataset, float *numbers);

/* ---- shared by the hdf5_*.c files ---- */

/** `size` bytes at `address`, NULL (and an error) when they are not all in the file. */
const uint8_t *hdf5_bytes(hdf5_file *file, uint64_t address, uint64_t size);
/** Little-endian number of 1..8 bytes. */
uint64_t hdf5_number(const uint8_t *bytes, size_t size);
/** One more structure visited; MIEN_ELIMIT when there were too many. */
mien_status hdf5_step(hdf5_file *file);
mien_status hdf5_broken(hdf5_file *file, uint64_t address, const char *what);
#ifdef __clang_analyzer__ /* see base/error.h */
#define hdf5_broken(file, address, what) error_known((hdf5_broken)(file, address, what), MIEN_EFORMAT)
#endif
mien_status hdf5_cursor_open(hdf5_file *file, uint64_t object, hdf5_cursor *cursor);
/** The next message; MIEN_ENOTFOUND after the last. */
mien_status hdf5_cursor_next(hdf5_file *file, hdf5_cursor *cursor, hdf5_message *message);
/** The first message of a type; MIEN_ENOTFOUND. */
mien_status hdf5_message_find(hdf5_file *file, uint64_t object, unsigned type, hdf5_message *message);
/** If the link message has that name and is a hard link, its object's address goes into *found. */
mien_status hdf5_link(hdf5_file *file, const hdf5_message *message, const char *name, size_t length, uint64_t *found);
/** The same among the links that a link info message leads to; *found is UINT64_MAX before. */
mien_status hdf5_dense_link(hdf5_file *file, const hdf5_message *info, const char *name, size_t length,
                            uint64_t *found);
mien_status hdf5_type_parse(hdf5_file *file, const uint8_t *data, size_t size, hdf5_type *type);
mien_status hdf5_space_parse(hdf5_file *file, const uint8_t *data, size_t size, hdf5_space *space);

#endif
