/* What a client of /ws sends that finds the faces by itself: where they are, and their crops beside each other in one
 * picture. */
#ifndef SERVER_DETECTOR_CROPS_H
#define SERVER_DETECTOR_CROPS_H

#include <jansson.h>
#include <mien/analyzer.h>

enum { DETECTOR_CROPS_MOST = 64 };

typedef struct detector_crops {
    mien_rect in_sheet[DETECTOR_CROPS_MOST]; /* the face within the picture that was sent */
    mien_rect in_frame[DETECTOR_CROPS_MOST]; /* and where it stands in the frame, which stayed with the client */
    size_t count;
} detector_crops;

/** Read [{"crop": [x, y, width, height], "box": [x, y, width, height]}, …]. @return MIEN_OK, MIEN_EFORMAT, MIEN_ELIMIT.
 */
mien_status detector_crops_read(const json_t *list, detector_crops *out, mien_error *error);
/** Put the faces where they stand in the frame. @return MIEN_OK, MIEN_EINTERNAL (another number of faces). */
mien_status detector_crops_place(const detector_crops *crops, mien_result *result, mien_error *error);

#endif
