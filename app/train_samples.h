/* `mien train --show-samples FILE`: what the network would be shown, as a sheet to look at. */
#ifndef APP_TRAIN_SAMPLES_H
#define APP_TRAIN_SAMPLES_H

#include "train/config.h"
#include "train/face_dataset.h"

/** A sheet of training samples with their faces framed, green those that count and orange those that are ignored, as
 * PNG where `path` ends in .png, else as JPEG. */
mien_status train_show_faces(const train_config *config, const face_dataset *data, const char *path, mien_error *error);

/** The same of a data set of emotions, as the network of that input sees it. */
mien_status train_show_emotions(const train_config *config, const dataset *data, const char *path, mien_error *error);

#endif
