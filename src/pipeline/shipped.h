/* The models that ship, linked into the library: an installed program needs no search path and cannot lose them. */
#ifndef PIPELINE_SHIPPED_H
#define PIPELINE_SHIPPED_H

#include <stddef.h>

extern const unsigned char shipped_emotion_model[];
extern const unsigned char shipped_emotion_model_end[];
extern const unsigned char shipped_face_model[]; /* of length 0 where none ships */
extern const unsigned char shipped_face_model_end[];

static inline size_t shipped_emotion_model_length(void)
{
    return (size_t)(shipped_emotion_model_end - shipped_emotion_model);
}

static inline size_t shipped_face_model_length(void)
{
    return (size_t)(shipped_face_model_end - shipped_face_model);
}

#endif
