/** Everything libmien offers. */
#ifndef MIEN_MIEN_H
#define MIEN_MIEN_H

#include <mien/analyzer.h>
#include <mien/base.h>
#include <mien/image.h>
#include <mien/tracker.h>

#endif
