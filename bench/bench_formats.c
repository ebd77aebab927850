/* Our side of the comparison with other programs that write or read models:
 *     bench_formats save FILE.onnx    a network in which every operator occurs
 *     bench_formats run MODEL         its answers to two fixed pictures, as one JSON object
 * bench/run.d/formats has the other sides and compares. */
#include "../tests/every_operator.h"

#include "nn/plan.h"

#include <stdio.h>
#include <string.h>

static int fail(const mien_error *error)
{
    fprintf(stderr, "bench_formats: %s\n", error->message);
    return 1;
}

static int save(const char *path)
{
    model m = {0};
    mien_error error = {0};
    every_operator_build(&m);
    mien_status status = model_save_onnx(&m, path, &error);
    model_done(&m);
    return status ? fail(&error) : 0;
}

static void print_output(const nn_plan *plan, const nn_session *session, size_t index)
{
    nn_shape shape = nn_plan_output_shape(plan, index);
    const float *values = nn_session_output(session, index);
    printf("%s{\"shape\":[", index ? "," : "");
    for (int i = 0; i < shape.rank; i++)
        printf("%s%lld", i ? "," : "", (long long)shape.dim[i]);
    printf("],\"values\":[");
    for (size_t i = 0; i < nn_shape_count(&shape); i++)
        printf("%s%.9g", i ? "," : "", (double)values[i]);
    printf("]}");
}

static mien_status answer(const nn_plan *plan, mien_error *error)
{
    nn_session *session = NULL;
    mien_status status = nn_session_create(plan, &session, error);
    if (status)
        return status;
    nn_shape shape = nn_plan_input_shape(plan, 0);
    float *input = nn_session_input(session, 0);
    for (size_t i = 0; i < nn_shape_count(&shape); i++)
        input[i] = (float)((double)(i * 7919 % 1000) / 500 - 1);
    status = nn_session_run(session, error);
    if (!status) {
        printf("{\"outputs\":[");
        for (size_t i = 0; i < nn_plan_output_count(plan); i++)
            print_output(plan, session, i);
        printf("]}\n");
    }
    nn_session_destroy(&session);
    return status;
}

static int run(const char *path)
{
    model m = {0};
    mien_error error = {0};
    nn_plan *plan = NULL;
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.batch = 2;
    mien_status status = model_load(path, NULL, &m, &error);
    if (!status)
        status = nn_plan_create(&m.graph, &options, &plan, &error);
    if (!status)
        status = answer(plan, &error);
    nn_plan_destroy(&plan);
    model_done(&m);
    return status ? fail(&error) : 0;
}

int main(int count, char **arguments)
{
    if (count == 3 && !strcmp(arguments[1], "save"))
        return save(arguments[2]);
    if (count == 3 && !strcmp(arguments[1], "run"))
        return run(arguments[2]);
    fprintf(stderr, "usage: bench_formats save FILE.onnx | run MODEL\n");
    return 2;
}
