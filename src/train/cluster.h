/* Several processes that train one network together. With one process (or a build without MPI) every call is a no-op.
 *
 * Sums are made by the first process in the order of the ranks and handed to all: every process holds the same bits,
 * and a run with the same number of processes repeats exactly.
 */
#ifndef TRAIN_CLUSTER_H
#define TRAIN_CLUSTER_H

#include <mien/base.h>

#include <stdbool.h>

typedef struct cluster {
    int rank, size; /* rank 0 writes the files */
    bool started;
} cluster;

/** Join the processes that were started together (by mpirun); alone otherwise. MIEN_EUNSUPPORTED: started by mpirun,
 * but built without MPI. */
mien_status cluster_start(cluster *c, mien_error *error);
void cluster_stop(cluster *c);

/** Replace `values` by their sum over all processes. */
mien_status cluster_sum_floats(const cluster *c, float *values, size_t count, mien_error *error);
mien_status cluster_sum_doubles(const cluster *c, double *values, size_t count, mien_error *error);
/** The status that all processes go on with: the first process's failure, else another's, else MIEN_OK. */
mien_status cluster_agree(const cluster *c, mien_status status, mien_error *error);

#endif
