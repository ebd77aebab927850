/* Nearly equal pictures in different splits: what was trained on should not be tested on. */
#ifndef TRAIN_DUPLICATES_H
#define TRAIN_DUPLICATES_H

#include "train/dataset.h"

typedef struct duplicates_pair {
    size_t a, b;             /* rows, a < b */
    float correlation;       /* of their pixels, at least the limit */
    bool same_label, across; /* across: of different splits */
} duplicates_pair;

/**
 * All pairs whose pixels correlate by at least `least` (0.9..1).
 * @param pairs  [out] by rows; free with memory_free. At most DUPLICATES_MOST, then MIEN_ELIMIT.
 */
mien_status duplicates_find(const dataset *data, float least, duplicates_pair **pairs, size_t *count,
                            mien_error *error);

enum { DUPLICATES_MOST = 1000000 };

#endif
