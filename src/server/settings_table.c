/* The table of settings. Order = order in the help. Names of the sources are kept as aliases, so that their .env files
 * work as they are. */
#include "server/settings.h"

#include <stddef.h>

#define AT(member) offsetof(settings, member)
#define TEXT(name, aliases, flag, member, standard, help)                                                              \
    {                                                                                                                  \
        name, aliases, flag, SETTING_TEXT, AT(member), standard, 0, 0, NULL, help                                      \
    }
#define CHOICE(name, aliases, flag, member, standard, choices, help)                                                   \
    {                                                                                                                  \
        name, aliases, flag, SETTING_TEXT, AT(member), standard, 0, 0, choices, help                                   \
    }
#define PATHS(name, aliases, flag, member, help)                                                                       \
    {                                                                                                                  \
        name, aliases, flag, SETTING_PATHS, AT(member), "", 0, 0, NULL, help                                           \
    }
#define SECRET(name, aliases, member, help)                                                                            \
    {                                                                                                                  \
        name, aliases, NULL, SETTING_SECRET, AT(member), "", 0, 0, NULL, help                                          \
    }
#define COUNT(name, aliases, flag, member, standard, low, high, help)                                                  \
    {                                                                                                                  \
        name, aliases, flag, SETTING_INTEGER, AT(member), standard, low, high, NULL, help                              \
    }
#define NUMBER(name, aliases, flag, member, standard, low, high, help)                                                 \
    {                                                                                                                  \
        name, aliases, flag, SETTING_NUMBER, AT(member), standard, low, high, NULL, help                               \
    }
#define SWITCH(name, aliases, flag, member, standard, help)                                                            \
    {                                                                                                                  \
        name, aliases, flag, SETTING_SWITCH, AT(member), standard, 0, 1, NULL, help                                    \
    }

const setting settings_table[] = {
    TEXT("HOST", "", "--host", host, "127.0.0.1", "Address to listen on; 0.0.0.0 for every interface."),
    COUNT("PORT", "", "--port", port, "8000", 0, 65535, "Port to listen on; 0 picks a free one."),
    TEXT("TLS_CERTIFICATE", "SSL_CERTFILE", "--tls-certificate", tls_certificate, "",
         "PEM file with the certificate chain; turns on TLS and HTTP/2."),
    TEXT("TLS_KEY", "SSL_KEYFILE", "--tls-key", tls_key, "", "PEM file with the certificate's key."),
    TEXT("CORS_ORIGINS", "ALLOWED_ORIGINS CORS_ALLOWED_ORIGINS", "--cors-origins", cors_origins, "",
         "Origins that other sites' pages may call from, separated by commas; * for any."),
    SWITCH("TRUST_PROXY", "", "--trust-proxy", trust_proxy, "false",
           "Take the client's address from the last X-Forwarded-For entry, and https from X-Forwarded-Proto; only "
           "behind a "
           "proxy that sets both."),
    PATHS("MODEL_PATH", "", "--model --model-path", model_path,
          "Emotion model (.onnx, .h5, .keras), the name of one that ships (mien-wide, mien-small), or a folder of "
          "models; "
          "several divided by colons, or by giving the flag again. The first answers by default; clients choose by "
          "name with ?model=. SIGHUP reads the files again. When not set, the models that ship."),
    CHOICE("MODEL_PRECISION", "", "--precision", model_precision, "auto", "auto f32 bf16 int8",
           "Arithmetic of the emotion models: auto is int8 for models that carry their ranges, else f32; bf16 and int8 "
           "are faster where the processor has them, and as f32 elsewhere."),
    TEXT("CASCADE_PATH", "", "--cascade-path", cascade_path, "",
         "OpenCV cascade (.xml); when not set, haarcascade_frontalface_default.xml."),
    TEXT("DETECTOR_PATH", "", "--detector-path", detector_path, "",
         "Face network (.onnx) of the default preset; when not set, the one that ships."),
    COUNT("MIN_FACE", "MIN_FACE_SIZE", "--min-face", min_face, "0", 0, 10000,
          "Smallest face looked for, in pixels of the picture; 0 keeps each preset's own rule."),
    NUMBER("CONFIDENCE_THRESHOLD", "", "--confidence-threshold", confidence_threshold, "0", 0, 1,
           "Leave out faces whose emotion is less sure than this."),
    NUMBER("SCALE_FACTOR", "", "--scale-factor", scale_factor, "0", 0, 4,
           "Step of the cascade's pyramid, above 1; 0 keeps each preset's own."),
    COUNT("MIN_NEIGHBORS", "", "--min-neighbors", min_neighbors, "-1", -1, 100,
          "Votes that the cascade needs; -1 keeps each preset's own."),
    COUNT("MAX_IMAGE_PIXELS", "", "--max-image-pixels", max_pixels, "50000000", 1, 1000000000,
          "Largest picture, width times height."),
    SECRET("HF_API_KEY", "HUGGINGFACE_API_KEY", hf_api_key, "Key for remote models at Hugging Face."),
    TEXT("HF_MODEL_ID", "", "--hf-model-id", hf_model, "trpakov/vit-face-expression", "Remote model, owner/name."),
    TEXT("HF_ALT_MODELS", "", "--hf-alt-models", hf_alternatives,
         "dima806/facial_emotions_image_detection,RickyIG/emotion_face_image_classification_v2",
         "Remote models to fall back on, separated by commas."),
    TEXT("HF_ENDPOINT", "", "--hf-endpoint", hf_endpoint, "https://api-inference.huggingface.co/models",
         "Where remote models answer."),
    COUNT("WORKERS", "", "--workers", workers, "0", 0, 256, "Threads that recognise; 0 is one per processor."),
    COUNT("QUEUE_SIZE", "", "--queue-size", queue, "64", 1, 100000,
          "Requests that may wait for a worker; beyond that the answer is 503."),
    COUNT("MEMORY_LIMIT", "", "--memory-limit", memory_limit, "0", 0, 1e15,
          "Bytes of memory that the server may take, by which what clients can make it hold is bounded; 0 = the "
          "container's limit, or without one half of the machine's memory."),
    COUNT("MAX_PICTURES_MEMORY", "", "--max-pictures-memory", max_pictures, "0", 0, 1e15,
          "Bytes of memory that large pictures being read may take together; one that needs more is 413, others wait "
          "for their turn, at last with 503. 0 = by MEMORY_LIMIT."),
    COUNT("MAX_BODY_SIZE", "MAX_CONTENT_LENGTH", "--max-body-size", max_body, "16777216", 1024, 1073741824,
          "Largest request body in bytes; beyond that the answer is 413."),
    COUNT(
        "MAX_IMAGE_SIZE", "", "--max-image-size", max_image, "1048576", 1, 1073741824,
        "Largest picture of /api/detect with JSON and of /ws, in bytes; up to 16384 it is the longest side in pixels."),
    COUNT("MAX_UPLOAD_SIZE", "MAX_FILE_SIZE", "--max-upload-size", max_upload, "5242880", 1024, 1073741824,
          "Largest picture of /api/detect with a form, in bytes."),
    COUNT("MAX_BODIES_SIZE", "", "--max-bodies-size", max_bodies, "0", 0, 17179869184.0,
          "Bytes that all bodies under way may take together; beyond that the answer is 503. 0 = by MEMORY_LIMIT."),
    COUNT("MAX_BATCH_SIZE", "", "--max-batch-size", max_batch, "10", 1, 1000, "Pictures in one batch."),
    COUNT("MAX_CONNECTIONS", "", "--max-connections", max_connections, "4096", 1, 100000, "Connections in all."),
    COUNT("MAX_CONNECTIONS_PER_ADDRESS", "", "--max-connections-per-address", max_connections_per_address, "2048", 1,
          100000, "Connections from one address."),
    NUMBER("REQUEST_TIMEOUT", "", "--request-timeout", request_timeout, "30", 0.05, 3600,
           "Seconds that an answer may take before it is 504."),
    NUMBER("HEADER_TIMEOUT", "", "--header-timeout", header_timeout, "10", 0.05, 3600,
           "Seconds that a request's head may take to arrive."),
    NUMBER("BODY_TIMEOUT", "", "--body-timeout", body_timeout, "60", 0.05, 3600,
           "Seconds that a request's body may take to arrive."),
    COUNT("MIN_UPLOAD_RATE", "", "--min-upload-rate", min_rate, "256", 0, 1000000000,
          "Bytes a second that a body must keep up after its first five seconds."),
    NUMBER("KEEP_ALIVE_TIMEOUT", "", "--keep-alive-timeout", keep_alive, "75", 0.05, 86400,
           "Seconds that an idle connection is kept."),
    NUMBER("STOP_TIMEOUT", "", "--stop-timeout", stop_timeout, "30", 0, 3600,
           "Seconds that running requests may take when the server is told to stop."),
    COUNT("RATE_LIMIT_REQUESTS", "", "--rate-limit-requests", rate_limit, "100", 0, 1000000,
          "Requests a minute and client to the /api/detect family with JSON; 0 turns the limit off."),
    COUNT(
        "RATE_LIMIT_FACES", "", "--rate-limit-faces", rate_limit_faces, "600", 0, 1000000,
        "Requests a minute and client to /api/faces, which the web page sends one picture at a time; 0 turns it off."),
    TEXT("RATE_LIMIT_ROUTES", "", "--rate-limit-routes", rate_limit_routes, "",
         "Limits of single routes a minute and client, for example /predict=60,/predict_file=60."),
    COUNT("CACHE_SIZE", "", "--cache-size", cache_size, "1024", 0, 1000000, "Results kept by picture; 0 turns it off."),
    NUMBER("CACHE_TTL", "", "--cache-ttl", cache_ttl, "300", 0, 86400, "Seconds that a result is kept."),
    SECRET("SECRET_KEY", "JWT_SECRET JWT_SECRET_KEY", secret_key,
           "Key that signs tokens and guest cookies, 32 characters or more; made at first start when unset."),
    TEXT("DATA_DIR", "DATA_FOLDER", "--data-dir", data_folder, "",
         "Folder for accounts, history and pictures; without one accounts and history live in memory and end with the "
         "program, and pictures are not kept."),
    SWITCH("STORE_PICTURES", "", "--store-pictures", store_pictures, "true", "Keep the pictures of the history."),
    NUMBER("HISTORY_TTL", "", "--history-ttl", history_ttl, "0", 0, 3650000000.0,
           "Seconds after which history is deleted; 0 keeps it."),
    COUNT("GUEST_MAX_USAGE", "", "--guest-max-usage", guest_max_usage, "3", 0, 1000000,
          "Detections of a guest in one window."),
    NUMBER("GUEST_WINDOW_SECONDS", "", "--guest-window-seconds", guest_window, "86400", 1, 31536000,
           "Length of that window in seconds."),
    NUMBER("ACCESS_TOKEN_EXPIRE_MINUTES", "", "--access-token-expire-minutes", access_minutes, "120", 1, 525600,
           "Life of an access token in minutes."),
    NUMBER("REFRESH_TOKEN_EXPIRE_DAYS", "", "--refresh-token-expire-days", refresh_days, "7", 0.01, 3650,
           "Life of a refresh token in days."),
    TEXT("FIREBASE_PROJECT_ID", "", "--firebase-project-id", firebase_project, "",
         "Accept ID tokens of this Firebase project."),
    TEXT("FIREBASE_API_KEY", "", "--firebase-api-key", firebase_api_key, "",
         "Web API key of that project, no secret: with it people sign in with Firebase on the page."),
    TEXT("FIREBASE_AUTH_EMULATOR_HOST", "", "--firebase-auth-emulator-host", firebase_emulator, "",
         "Accept the unsigned tokens of the Firebase emulator, for development; refused with ENVIRONMENT=production."),
    TEXT("FIREBASE_KEYS_URL", "", "--firebase-keys-url", firebase_keys,
         "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
         "Keys that sign ID tokens: a key set (JWKS) or an object of X.509 certificates by key id."),
    TEXT("OIDC_ISSUER", "", "--oidc-issuer", oidc_issuer, "",
         "Issuer of ID tokens, where it is not Firebase's securetoken.google.com/<project>."),
    TEXT("NOTICE", "", "--notice", notice, "",
         "What the web page tells people before the camera starts; when not set, its own words."),
    CHOICE("LOG_LEVEL", "", "--log-level", log_level, "info", "error warning info debug", "What is logged."),
    CHOICE("LOG_FORMAT", "", "--log-format", log_format, "text", "text json", "How it is logged."),
    TEXT("ENVIRONMENT", "FLASK_ENV APP_ENV", "--environment", environment, "production", "Name shown by /health."),
    SWITCH("ENABLE_METRICS", "METRICS_ENABLED", "--enable-metrics", metrics, "true", "Answer /metrics."),
    SWITCH("DEBUG", "FLASK_DEBUG", "--debug", debug, "false", "Log everything."),
};

const size_t settings_count = sizeof settings_table / sizeof *settings_table;
