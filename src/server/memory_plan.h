/* How much memory the server may take, and who gets what of it where the operator has not said so. */
#ifndef SERVER_MEMORY_PLAN_H
#define SERVER_MEMORY_PLAN_H

#include "server/settings.h"

/** The least memory limit of the control groups that this process is in, versions 1 and 2; 0 = none.
 *  @param root  "" for the machine's own files, else a folder with their likes. */
uint64_t memory_plan_container(const char *root);

/** Fill in the settings that are 0, "by the memory": MEMORY_LIMIT itself, MAX_PICTURES_MEMORY, MAX_BODIES_SIZE, and
 *  hold MAX_BODY_SIZE within the last. Logs what was chosen.
 *  @param root  as above. */
void memory_plan_apply(settings *settings, size_t workers, const char *root);

#endif
