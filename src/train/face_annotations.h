/* Annotated faces: a CSV whose first line names its columns, of which file, x, y, width and height must be there and
 * ignore may be; one line a face. */
#ifndef TRAIN_FACE_ANNOTATIONS_H
#define TRAIN_FACE_ANNOTATIONS_H

#include "train/face_metrics.h"

/** The faces of one picture: faces[first .. first + count - 1]. */
typedef struct face_picture {
    char *file; /* as the CSV has it */
    size_t first, count;
} face_picture;

typedef struct face_annotations {
    face_picture *pictures; /* in the order in which they first occur */
    size_t picture_count;
    face_truth *faces; /* by picture */
    size_t face_count;
} face_annotations;

/** @return MIEN_OK, MIEN_EFORMAT (names the line), MIEN_ENOMEM, and as file_read. Free with face_annotations_done. */
mien_status face_annotations_read(const char *path, face_annotations *out, mien_error *error);
mien_status face_annotations_parse(const char *text, face_annotations *out, mien_error *error);
void face_annotations_done(face_annotations *annotations);

#endif
