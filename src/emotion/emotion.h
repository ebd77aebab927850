/* The seven classes by name, and what other systems call them. */
#ifndef EMOTION_EMOTION_H
#define EMOTION_EMOTION_H

#include <mien/analyzer.h>

/** The class that a label stands for: our own names and the synonyms of data sets and foreign models ("happiness",
 *  "joy", "anger", "calm" …), any case, `length` bytes. MIEN_EMOTION_COUNT when it stands for none of the seven. */
mien_emotion emotion_from_label(const char *label, size_t length);

#endif
