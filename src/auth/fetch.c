/* libcurl with everything that could surprise switched off: HTTPS only (plain HTTP to loopback, for tests and
 * emulators), no redirects, no proxies' credentials, ten seconds, 256 KiB. */
#include "auth/fetch.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

enum { FETCH_MOST_BYTES = 256 << 10, FETCH_SECONDS = 10, FETCH_CONNECT_SECONDS = 5, FETCH_DEFAULT_AGE = 3600 };

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch_initialise(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t fetch_body(char *bytes, size_t size, size_t count, void *target)
{
    return buffer_append(target, bytes, size * count) ? 0 : size * count;
}

static size_t fetch_header(char *line, size_t size, size_t count, void *target)
{
    static const char name[] = "cache-control:";
    size_t length = size * count;
    char text[256];
    if (length < sizeof text && length > sizeof name && !strncasecmp(line, name, sizeof name - 1)) {
        memcpy(text, line, length);
        text[length] = '\0';
        const char *age = strstr(text, "max-age=");
        if (age)
            *(int64_t *)target = strtoll(age + strlen("max-age="), NULL, 10);
    }
    return length;
}

/* Not by how the text begins: http://127.0.0.1.example.org is somewhere else. */
bool fetch_is_loopback(const char *url)
{
    CURLU *parts = curl_url();
    char *host = NULL;
    bool here = parts && !curl_url_set(parts, CURLUPART_URL, url, 0) &&
                !curl_url_get(parts, CURLUPART_HOST, &host, 0) &&
                (!strcmp(host, "127.0.0.1") || !strcmp(host, "localhost") || !strcmp(host, "[::1]"));
    curl_free(host);
    curl_url_cleanup(parts);
    return here;
}

mien_status fetch_https(void *context, const char *url, buffer *body, int64_t *max_age, mien_error *error)
{
    (void)context;
    pthread_once(&fetch_once, fetch_initialise);
    CURL *curl = curl_easy_init();
    if (!curl)
        return error_no_memory(error, 0);
    buffer got;
    buffer_init(&got, FETCH_MOST_BYTES);
    int64_t age = FETCH_DEFAULT_AGE;
    long code = 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, fetch_is_loopback(url) ? "http,https" : "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)FETCH_SECONDS);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)FETCH_CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, fetch_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &got);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, fetch_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &age);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(curl);

    mien_status status = MIEN_OK;
    if (result != CURLE_OK)
        status = error_set(error, result == CURLE_OPERATION_TIMEDOUT ? MIEN_ETIMEOUT : MIEN_EIO,
                           "the key set cannot be fetched: %s", curl_easy_strerror(result));
    else if (code != 200)
        status = error_set(error, MIEN_EIO, "the key set cannot be fetched: status %ld", code);
    else if (buffer_append(body, got.data, got.length))
        status = buffer_status(body, error);
    if (!status)
        *max_age = age;
    buffer_done(&got);
    return status;
}
