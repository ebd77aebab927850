/* The memory in which a session runs: its inputs, activations and scratchpads. One workspace may serve several sessions
 * of one thread, which run one after the other; then it is as large as the largest of them needs. */
#ifndef NN_WORKSPACE_H
#define NN_WORKSPACE_H

#include "nn/plan.h"

/** At least so many bytes, 64-byte aligned, the same as last time unless it had to grow: what was in it is lost then.
 *  NULL when there is no memory. Not thread-safe. */
unsigned char *nn_workspace_take(nn_workspace *workspace, size_t bytes);

#endif
