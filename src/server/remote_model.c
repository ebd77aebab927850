/* Hugging Face inference over libcurl: raw bytes in, labels and scores out. Answers are believed only as far as they
 * make sense: known labels, scores from 0 to 1, something above 0. No redirect is followed, for the key would go with
 * it. */
#include "server/remote_model.h"

#include "auth/fetch.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"

#include <curl/curl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MOST_ANSWER_BYTES = 65536, MOST_TRIES = 3 };
static const double longest_wait = 10;

mien_status remote_model_read(const char *text, size_t length, float probabilities[MIEN_EMOTION_COUNT],
                              mien_error *error)
{
    json_error_t problem;
    json_t *answer = json_loadb(text, length, 0, &problem);
    const json_t *list = json_is_array(json_array_get(answer, 0)) ? json_array_get(answer, 0) : answer;
    double scores[MIEN_EMOTION_COUNT] = {0}, sum = 0;
    bool sensible = json_is_array(list) && json_array_size(list) <= 100;
    for (size_t i = 0; sensible && i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i), *score = json_object_get(entry, "score");
        const char *label = json_string_value(json_object_get(entry, "label"));
        mien_emotion emotion;
        double value = json_number_value(score);
        sensible = json_is_number(score) && value >= 0 && value <= 1.0001;
        if (sensible && label && !mien_emotion_from_name(label, &emotion, NULL)) {
            scores[emotion] += value;
            sum += value;
        }
    }
    json_decref(answer);
    if (!sensible || !(sum > 1e-6))
        return error_set(error, MIEN_EFORMAT, "the remote model's answer makes no sense");
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        probabilities[i] = (float)(scores[i] / sum);
    return MIEN_OK;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *target)
{
    return buffer_append(target, bytes, size * count) ? 0 : size * count;
}

/* owner/name, of the characters that such names have: nothing that could change the URL. */
static bool is_model_name(const char *name)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
    const char *slash = strchr(name, '/');
    return slash && slash != name && slash[1] && !strchr(slash + 1, '/') && strspn(name, fine) == strlen(name) &&
           !strstr(name, "..");
}

typedef struct attempt {
    long code;
    CURLcode result;
    buffer body;
} attempt;

static void perform(const remote_model *remote, const char *url, const void *picture, size_t length, double seconds,
                    attempt *tried)
{
    char authorization[600];
    bool jpeg = length > 3 && !memcmp(picture, "\xff\xd8\xff", 3);
    CURL *curl = curl_easy_init();
    tried->code = 0;
    tried->result = CURLE_OUT_OF_MEMORY;
    buffer_init(&tried->body, MOST_ANSWER_BYTES);
    if (!curl)
        return;
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", remote->key);
    struct curl_slist *fields = curl_slist_append(NULL, authorization);
    fields = curl_slist_append(fields, jpeg ? "Content-Type: image/jpeg" : "Content-Type: application/octet-stream");
    fields = curl_slist_append(fields, "Expect:");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, fetch_is_loopback(url) ? "http,https" : "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(seconds * 1000) + 1);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, picture);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &tried->body);
    tried->result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &tried->code);
    curl_slist_free_all(fields);
    curl_easy_cleanup(curl);
}

/* Seconds that a loading model asks for. */
static double estimated_wait(const buffer *body)
{
    json_t *answer = body->length ? json_loadb((const char *)body->data, body->length, 0, NULL) : NULL;
    double seconds = json_number_value(json_object_get(answer, "estimated_time"));
    json_decref(answer);
    return seconds > 0.05 && seconds < longest_wait ? seconds : seconds >= longest_wait ? longest_wait : 0.2;
}

static mien_status judge(const attempt *tried, float probabilities[MIEN_EMOTION_COUNT], mien_error *error)
{
    if (tried->result == CURLE_OPERATION_TIMEDOUT)
        return error_set(error, MIEN_ETIMEOUT, "the remote model did not answer in time");
    if (tried->result != CURLE_OK)
        return error_set(error, MIEN_EIO, "the remote model cannot be reached: %s", curl_easy_strerror(tried->result));
    if (tried->code == 401 || tried->code == 403)
        return error_set(error, MIEN_EDENIED, "HF_API_KEY is not accepted");
    if (tried->code != 200)
        return error_set(error, MIEN_EIO, "the remote model answered with status %ld", tried->code);
    return remote_model_read(buffer_text(&tried->body), tried->body.length, probabilities, error);
}

mien_status remote_model_classify(const remote_model *remote, const char *name, const void *picture, size_t length,
                                  float probabilities[MIEN_EMOTION_COUNT], mien_error *error)
{
    char url[600];
    double until = clock_monotonic_ms() + remote->seconds * 1e3;
    if (!is_model_name(name))
        return error_set(error, MIEN_EINVAL, "the model's name is not owner/name");
    if (snprintf(url, sizeof url, "%s/%s", remote->endpoint, name) >= (int)sizeof url)
        return error_set(error, MIEN_EINVAL, "HF_ENDPOINT is too long");
    for (int tries = 1;; tries++) {
        attempt tried;
        double left = (until - clock_monotonic_ms()) / 1e3;
        perform(remote, url, picture, length, left > 0.01 ? left : 0.01, &tried);
        double wait = estimated_wait(&tried.body);
        bool loading = tried.result == CURLE_OK && tried.code == 503;
        if (!loading || tries == MOST_TRIES || clock_monotonic_ms() + wait * 1e3 >= until) {
            mien_status status = judge(&tried, probabilities, error);
            buffer_done(&tried.body);
            return status;
        }
        buffer_done(&tried.body);
        nanosleep(&(struct timespec){(time_t)wait, (long)(fmod(wait, 1) * 1e9)}, NULL);
    }
}
