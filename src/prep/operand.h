/* What every operation checks first. */
#ifndef PREP_OPERAND_H
#define PREP_OPERAND_H

#include <mien/image.h>

/** Sides up to 2²⁴: positions stay exact in single precision and products of two sides fit 64 bits. */
enum { OPERAND_MAX_SIDE = 1 << 24 };

/** Both sides are there, within OPERAND_MAX_SIDE, of a known format, and their strides hold their rows. */
mien_status operand_check(const char *operation, const mien_image_view *source, const mien_image *target,
                          mien_error *error);
/** operand_check, and the sizes are equal. */
mien_status operand_check_same_size(const char *operation, const mien_image_view *source, const mien_image *target,
                                    mien_error *error);
/** operand_check_same_size, and the formats are equal. */
mien_status operand_check_same_format(const char *operation, const mien_image_view *source, const mien_image *target,
                                      mien_error *error);
/** operand_check_same_size, and both are GREY8. */
mien_status operand_check_grey(const char *operation, const mien_image_view *source, const mien_image *target,
                               mien_error *error);

#endif
