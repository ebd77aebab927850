/* Fuzz target: any bytes behind the HDF5 signature must load as a Keras model or be refused. */
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const model_limits limits = {.max_weight_bytes = 16 << 20, .max_items = 20000};
    model m = {0};
    mien_error error = {0};
    if (!size || data[0] != 0x89)
        return 0;
    if (!model_load_bytes(data, size, &limits, &m, &error))
        model_done(&m);
    return 0;
}
