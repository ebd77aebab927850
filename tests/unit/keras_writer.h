/* Writes Keras files with libhdf5, in memory, as Keras itself would: for the tests of the reader. */
#ifndef TESTS_UNIT_KERAS_WRITER_H
#define TESTS_UNIT_KERAS_WRITER_H

#include "testing.h"

#include "base/buffer.h"

#include <hdf5.h>

typedef struct keras_writer {
    hid_t file;
    bool newest;    /* the newest HDF5 structures instead of the oldest */
    hid_t type;     /* stored element type; 0 = f32 */
    unsigned chunk; /* chunk size along every axis; 0 = contiguous */
    bool gzip, shuffle, checksum;
    bool external; /* content in another file */
} keras_writer;

static inline void writer_open(keras_writer *w)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 4096, 0);
    if (w->newest)
        H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    w->file = H5Fcreate("keras-writer", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    assert_true(w->file >= 0);
}

/* A text attribute, variable as Keras writes it or of fixed length. */
static inline void writer_text(keras_writer *w, const char *object, const char *name, const char *text, bool variable)
{
    hid_t at = H5Oopen(w->file, object, H5P_DEFAULT), space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, variable ? H5T_VARIABLE : strlen(text));
    H5Tset_strpad(type, variable ? H5T_STR_NULLTERM : H5T_STR_NULLPAD);
    hid_t attribute = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(attribute >= 0);
    assert_true(H5Awrite(attribute, type, variable ? (const void *)&text : (const void *)text) >= 0);
    H5Aclose(attribute);
    H5Tclose(type);
    H5Sclose(space);
    H5Oclose(at);
}

/* A list of texts of one fixed length, names separated by spaces. */
static inline void writer_list(keras_writer *w, const char *object, const char *name, const char *names)
{
    enum { WIDTH = 64, MOST = 32 };
    char cells[MOST][WIDTH] = {{0}};
    hsize_t count = 0;
    while (*names) {
        size_t length = strcspn(names, " ");
        assert_true(length < WIDTH && count < MOST);
        memcpy(cells[count++], names, length);
        names += length + (names[length] == ' ');
    }
    hid_t at = H5Oopen(w->file, object, H5P_DEFAULT), space = H5Screate_simple(1, &count, NULL),
          type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, WIDTH);
    hid_t attribute = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, cells) >= 0);
    H5Aclose(attribute);
    H5Tclose(type);
    H5Sclose(space);
    H5Oclose(at);
}

static inline void writer_group(keras_writer *w, const char *path)
{
    hid_t create = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(create, 1);
    hid_t group = H5Gcreate2(w->file, path, create, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(group >= 0);
    H5Gclose(group);
    H5Pclose(create);
}

/* Open a file with a description and a layer's list of weights; the arrays are still to come. */
static inline void writer_begin(keras_writer *w, const char *config, const char *layer, const char *weights)
{
    char group[96];
    snprintf(group, sizeof group, "model_weights/%s", layer);
    writer_open(w);
    writer_text(w, "/", "model_config", config, true);
    writer_group(w, group);
    writer_list(w, group, "weight_names", weights);
}

static inline hid_t writer_layout(const keras_writer *w, int rank, const hsize_t *dim)
{
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[8];
    for (int i = 0; i < rank; i++)
        chunk[i] = w->chunk < dim[i] ? w->chunk : dim[i];
    if (w->chunk)
        H5Pset_chunk(create, rank, chunk);
    if (w->shuffle)
        H5Pset_shuffle(create);
    if (w->gzip)
        H5Pset_deflate(create, 6);
    if (w->checksum)
        H5Pset_fletcher32(create);
    if (w->external)
        H5Pset_external(create, "/etc/hostname", 0, H5F_UNLIMITED);
    return create;
}

static inline void writer_array(keras_writer *w, const char *path, int rank, const hsize_t *dim, const float *values)
{
    hid_t space = H5Screate_simple(rank, dim, NULL), links = H5Pcreate(H5P_LINK_CREATE),
          create = writer_layout(w, rank, dim);
    H5Pset_create_intermediate_group(links, 1);
    hid_t set = H5Dcreate2(w->file, path, w->type ? w->type : H5T_IEEE_F32LE, space, links, create, H5P_DEFAULT);
    assert_true(set >= 0);
    if (!w->external)
        assert_true(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Pclose(create);
    H5Pclose(links);
    H5Sclose(space);
}

/* The file's bytes; closes it. */
static inline void writer_bytes(keras_writer *w, buffer *out)
{
    H5Fflush(w->file, H5F_SCOPE_GLOBAL);
    ssize_t length = H5Fget_file_image(w->file, NULL, 0);
    assert_true(length > 0);
    assert_int_equal(buffer_reserve(out, (size_t)length), MIEN_OK);
    assert_int_equal(H5Fget_file_image(w->file, out->data, (size_t)length), length);
    out->length = (size_t)length;
    H5Fclose(w->file);
}

#endif
