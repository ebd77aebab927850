/* Who goes with whom so that the sum of the costs is least. */
#ifndef TRACK_ASSIGNMENT_H
#define TRACK_ASSIGNMENT_H

#include <mien/base.h>

enum { ASSIGNMENT_NONE = -1 };

/**
 * Match rows to columns, each at most once; leaving a row unmatched costs `alone`.
 * @param costs  row-major [rows × columns]; INFINITY = never.
 * @param match  [out] for each row its column or ASSIGNMENT_NONE.
 * @return MIEN_OK, MIEN_ENOMEM.
 */
mien_status assignment_solve(const double *costs, size_t rows, size_t columns, double alone, int *match);

#endif
