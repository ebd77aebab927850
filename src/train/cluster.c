/* The one file that knows MPI. Gradients travel in pieces of a megabyte to rank 0, which adds them in rank order, and
 * back by broadcast: twice the traffic of a tuned all-reduce, but an order that does not depend on the library's mood.
 */
#include "train/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#ifdef MIEN_MPI
#include <mpi.h>
#endif

/* Set by the launchers of Open MPI, MPICH and Slurm. */
static bool cluster_is_launched(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value && atoi(value) > 1)
            return true;
    }
    return false;
}

#ifdef MIEN_MPI

enum { CLUSTER_PIECE = 1 << 17, CLUSTER_TAG = 1 };

static mien_status cluster_check(int code, const char *what, mien_error *error)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS)
        return MIEN_OK;
    MPI_Error_string(code, text, &length);
    return error_set(error, MIEN_EIO, "%s: %.160s", what, text);
}

mien_status cluster_start(cluster *c, mien_error *error)
{
    *c = (cluster){.rank = 0, .size = 1};
    if (!cluster_is_launched())
        return MIEN_OK;
    int provided = 0;
    mien_status status =
        cluster_check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "starting MPI", error);
    if (status)
        return status;
    c->started = true;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &c->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &c->size);
    return MIEN_OK;
}

void cluster_stop(cluster *c)
{
    if (c->started)
        MPI_Finalize();
    *c = (cluster){.rank = 0, .size = 1};
}

/* One piece: to rank 0, added there in the order of the ranks, and back. */
static int cluster_sum_piece(const cluster *c, void *values, int count, bool wide)
{
    static const MPI_Datatype types[2] = {MPI_FLOAT, MPI_DOUBLE};
    union {
        float narrow[CLUSTER_PIECE];
        double wide[CLUSTER_PIECE / 2];
    } *other = NULL;
    MPI_Datatype type = types[wide];
    int code = MPI_SUCCESS;
    if (c->rank)
        code = MPI_Send(values, count, type, 0, CLUSTER_TAG, MPI_COMM_WORLD);
    else if (!(other = malloc(sizeof(*other))))
        code = MPI_ERR_NO_MEM;
    for (int rank = 1; !c->rank && code == MPI_SUCCESS && rank < c->size; rank++) {
        code = MPI_Recv(other, count, type, rank, CLUSTER_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        for (int i = 0; i < count && wide; i++)
            ((double *)values)[i] += other->wide[i];
        for (int i = 0; i < count && !wide; i++)
            ((float *)values)[i] += other->narrow[i];
    }
    free(other);
    return code == MPI_SUCCESS ? MPI_Bcast(values, count, type, 0, MPI_COMM_WORLD) : code;
}

static mien_status cluster_sum(const cluster *c, void *values, size_t count, bool wide, mien_error *error)
{
    size_t most = wide ? CLUSTER_PIECE / 2 : CLUSTER_PIECE, size = wide ? sizeof(double) : sizeof(float);
    mien_status status = MIEN_OK;
    for (size_t at = 0; c->size > 1 && at < count && !status; at += most) {
        size_t left = count - at;
        int code = cluster_sum_piece(c, (char *)values + at * size, (int)(left < most ? left : most), wide);
        status = cluster_check(code, "summing over the processes", error);
    }
    return status;
}

#else

mien_status cluster_start(cluster *c, mien_error *error)
{
    *c = (cluster){.rank = 0, .size = 1};
    if (cluster_is_launched())
        return error_set(error, MIEN_EUNSUPPORTED, "started as one of several processes, but built without MPI");
    return MIEN_OK;
}

void cluster_stop(cluster *c)
{
    *c = (cluster){.rank = 0, .size = 1};
}

static mien_status cluster_sum(const cluster *c, void *values, size_t count, bool wide, mien_error *error)
{
    (void)c;
    (void)values;
    (void)count;
    (void)wide;
    (void)error;
    return MIEN_OK;
}

#endif

mien_status cluster_sum_floats(const cluster *c, float *values, size_t count, mien_error *error)
{
    return cluster_sum(c, values, count, false, error);
}

mien_status cluster_sum_doubles(const cluster *c, double *values, size_t count, mien_error *error)
{
    return cluster_sum(c, values, count, true, error);
}

mien_status cluster_agree(const cluster *c, mien_status status, mien_error *error)
{
    /* [0] the first process's status, [1] the sum over the failures of the others */
    double both[2] = {c->rank ? 0 : (double)status, c->rank ? (double)(status != MIEN_OK) : 0};
    if (c->size < 2)
        return status;
    mien_status sent = cluster_sum_doubles(c, both, 2, error);
    if (sent || status)
        return sent ? sent : status;
    if (both[0] > 0)
        return error_set(error, (mien_status)both[0], "process 0 failed: %s", mien_status_name((mien_status)both[0]));
    return both[1] > 0 ? error_set(error, MIEN_EIO, "another process failed") : MIEN_OK;
}
