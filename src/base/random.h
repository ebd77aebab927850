/* Reproducible random numbers (xoshiro256**, Blackman & Vigna 2018, seeded by splitmix64) and secret ones (the
 * kernel's). */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <mien/base.h>

/** Plain data: may be saved and restored to resume a sequence exactly. */
typedef struct random_state {
    uint64_t word[4];
} random_state;

/** Different (seed, stream) pairs give independent sequences: one per sample, per epoch, per worker. */
void random_seed(random_state *state, uint64_t seed, uint64_t stream);
uint64_t random_next(random_state *state);
/** Uniform in 0..bound-1 without bias; bound ≥ 1. */
uint32_t random_below(random_state *state, uint32_t bound);
/** Uniform in [0, 1). */
float random_unit(random_state *state);
/** Uniform in [low, high). */
float random_range(random_state *state, float low, float high);
/** Normal, mean 0 and deviation 1. */
float random_normal(random_state *state);
/** Gamma(shape, 1), shape > 0; two of them make a Beta. */
float random_gamma(random_state *state, float shape);

/** Bytes nobody can guess, for tokens and ids. @return MIEN_OK or MIEN_EIO. */
mien_status random_secret(void *bytes, size_t length, mien_error *error);

#endif
