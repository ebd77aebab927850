/* `mien eval --faces`: measures face detectors on annotated pictures. */
#ifndef APP_EVAL_FACES_H
#define APP_EVAL_FACES_H

#include <stdbool.h>

/** Whether these are arguments for eval_faces: --faces is among them. */
bool eval_faces_wanted(int argc, char **argv);
/** Shape of main. */
int eval_faces(int argc, char **argv);

#endif
