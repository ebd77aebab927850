/* One block that grows. Whoever runs takes it anew each time, so that nobody keeps an address that growing has made
 * stale, and nothing in it is worth copying when it grows. */
#include "nn/workspace.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

struct nn_workspace {
    unsigned char *block;
    size_t bytes;
};

mien_status nn_workspace_create(nn_workspace **workspace, mien_error *error)
{
    nn_workspace *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    *workspace = made;
    return MIEN_OK;
}

void nn_workspace_destroy(nn_workspace **workspace)
{
    if (!workspace || !*workspace)
        return;
    memory_free((*workspace)->block);
    memory_free(*workspace);
    *workspace = NULL;
}

void nn_workspace_trim(nn_workspace *workspace, size_t bytes)
{
    if (workspace->bytes <= bytes)
        return;
    memory_free(workspace->block);
    *workspace = (nn_workspace){0};
}

unsigned char *nn_workspace_take(nn_workspace *workspace, size_t bytes)
{
    if (workspace->block && bytes <= workspace->bytes)
        return workspace->block;
    nn_workspace_trim(workspace, 0);
    workspace->block = memory_aligned(bytes, 1);
    if (!workspace->block)
        return NULL;
    workspace->bytes = bytes;
    memset(workspace->block, 0, bytes);
    return workspace->block;
}
