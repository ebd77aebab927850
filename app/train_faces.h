/* Faces for training from pictures of people: found and cut out by our own detector. */
#ifndef APP_TRAIN_FACES_H
#define APP_TRAIN_FACES_H

#include <mien/analyzer.h>

typedef struct train_faces train_faces;

mien_status train_faces_create(train_faces **out, mien_error *error);
void train_faces_destroy(train_faces **faces);
/** dataset_options.locate: the surest face. MIEN_ENOTFOUND: there is none. */
mien_status train_faces_locate(void *faces, const mien_image_view *picture, mien_rect *box, mien_error *error);

#endif
