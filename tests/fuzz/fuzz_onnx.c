/* Fuzz target: any bytes as an ONNX model must load or be refused; what loads must survive being written and read
 * again. */
#include "model/model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const model_limits limits = {.max_weight_bytes = 16 << 20, .max_items = 20000};
    model m = {0}, again = {0};
    mien_error error = {0};
    if (size && data[0] == 0x89) /* HDF5 has a target of its own */
        return 0;
    if (model_load_bytes(data, size, &limits, &m, &error))
        return 0;
    buffer bytes = {0};
    if (!model_save_onnx_buffer(&m, &bytes, &error)) {
        const model_limits wide = {0};
        if (model_load_bytes(bytes.data, bytes.length, &wide, &again, &error))
            abort();
        if (again.graph.output_count != m.graph.output_count)
            abort();
        model_done(&again);
    }
    buffer_done(&bytes);
    model_done(&m);
    return 0;
}
