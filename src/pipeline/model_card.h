/* What the loaded emotion model says about itself, for people. */
#ifndef PIPELINE_MODEL_CARD_H
#define PIPELINE_MODEL_CARD_H

#include <jansson.h>

#include <mien/analyzer.h>

/**
 * {"name", "description", "training" (text or null), "parameters", "labels":[…], "input":{"width", "height",
 * "channels"}, "temperature", "uncertain_below", "figures":{"PublicTest.top1": 0.7, …}}.
 * @return a new reference, NULL when memory is short.
 */
json_t *analyzer_card(const mien_analyzer *analyzer);

#endif
