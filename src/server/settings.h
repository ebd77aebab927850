/* Every setting of `mien serve`, in one table: name in the environment (with the names that the five sources use),
 * flag, type, default, range and help. Read from defaults, then a .env file, then the environment, then flags. */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "base/buffer.h"

typedef struct settings {
    /* where it listens */
    char *host;
    long port;
    char *tls_certificate, *tls_key;
    char *cors_origins;
    bool trust_proxy;
    /* what it recognises with */
    char *model_path; /* several divided by colons */
    char *model_precision;
    char *cascade_path, *detector_path;
    double confidence_threshold, scale_factor;
    long min_neighbors, min_face;
    long max_pixels;
    char *hf_api_key, *hf_model, *hf_alternatives, *hf_endpoint;
    /* work and its limits */
    long workers, queue;
    long memory_limit, max_pictures;
    long max_body, max_image, max_upload, max_bodies, max_batch;
    long max_connections, max_connections_per_address;
    double request_timeout, header_timeout, body_timeout, keep_alive, stop_timeout;
    long min_rate;
    long rate_limit, rate_limit_faces;
    char *rate_limit_routes;
    long cache_size;
    double cache_ttl;
    /* people */
    char *secret_key, *data_folder;
    bool store_pictures;
    double history_ttl;
    long guest_max_usage;
    double guest_window;
    double access_minutes, refresh_days;
    char *firebase_project, *firebase_api_key, *firebase_emulator, *firebase_keys, *oidc_issuer;
    /* running it */
    char *notice; /* shown before a camera starts */
    char *log_level, *log_format, *environment;
    bool environment_given; /* by somebody, not by default */
    bool metrics, debug;
} settings;

typedef enum setting_kind {
    SETTING_TEXT,
    SETTING_SECRET,
    SETTING_PATHS, /* flags that come again add to the list, divided by colons */
    SETTING_INTEGER,
    SETTING_NUMBER,
    SETTING_SWITCH
} setting_kind;

typedef struct setting {
    const char *name;    /* environment name, the one that messages use */
    const char *aliases; /* further environment names, separated by blanks */
    const char *flag;    /* "--port"; others for the same divided by blanks */
    setting_kind kind;
    size_t offset;
    const char *standard; /* default as text; "" = unset */
    double low, high;     /* numbers */
    const char *choices;  /* texts: allowed ones, separated by blanks; NULL = any */
    const char *help;
} setting;

extern const setting settings_table[];
extern const size_t settings_count;

/** Fill with the defaults. */
mien_status settings_init(settings *settings, mien_error *error);
void settings_done(settings *settings);
/** Set one by its table entry; MIEN_EINVAL names it and the allowed range. `source` says where the value came from. */
mien_status settings_set(settings *settings, const setting *entry, const char *value, const char *source,
                         mien_error *error);
/** NAME=value lines; '#' begins a comment, quotes are removed, unknown names are passed over (files are shared with
 * other programs). MIEN_EFORMAT names the line. */
mien_status settings_read_file(settings *settings, const char *path, mien_error *error);
mien_status settings_read_environment(settings *settings, mien_error *error);
/** Flags "--name value", "--name=value" and switches, bare or with true or false. Anything left over is MIEN_EINVAL. */
mien_status settings_read_flags(settings *settings, int count, char **arguments, mien_error *error);
/** What only makes sense together: a key with its certificate, no example secrets, and so on. */
mien_status settings_check(const settings *settings, mien_error *error);
/** Text of `--help`: every flag with its environment name, default and range. */
mien_status settings_help(buffer *out);

#endif
