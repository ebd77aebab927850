/**
 * The main job: a picture in, faces and their apparent expressions out.
 *
 *     mien_analyzer  (immutable, shared)  detector + emotion model + settings
 *         └─ mien_session (one per thread) all mutable state of a run
 *                └─ mien_result           what was found; owned by the caller
 *
 * A label is the expression that a face appears to show, not what a person feels.
 */
#ifndef MIEN_ANALYZER_H
#define MIEN_ANALYZER_H

#include <mien/image.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The seven classes, in the order of every probability array of mien (FER-2013's order). */
typedef enum mien_emotion {
    MIEN_EMOTION_ANGRY = 0,
    MIEN_EMOTION_DISGUST,
    MIEN_EMOTION_FEAR,
    MIEN_EMOTION_HAPPY,
    MIEN_EMOTION_SAD,
    MIEN_EMOTION_SURPRISE,
    MIEN_EMOTION_NEUTRAL,
    MIEN_EMOTION_COUNT
} mien_emotion;

/** "angry", "disgust", … "neutral"; NULL outside the range. */
MIEN_API const char *mien_emotion_name(mien_emotion emotion);

/** The class that a label stands for: these names, or what data sets and other models say for them ("happiness", "joy",
 *  "anger", "calm" …), in any case. @return MIEN_OK, MIEN_ENOTFOUND, MIEN_EINVAL (NULL). */
MIEN_API mien_status mien_emotion_from_name(const char *name, mien_emotion *emotion, mien_error *error);

/** Pixels of the upright picture; x grows right, y down. May not extend beyond the picture. */
typedef struct mien_rect {
    int32_t x, y, width, height;
} mien_rect;

/** One face. */
typedef struct mien_face {
    mien_rect box;
    float score;          /**< the detector's confidence; its scale depends on the detector, larger is surer */
    mien_emotion emotion; /**< the class of the largest probability */
    float confidence;     /**< that probability, 0..1 */
    float probabilities[MIEN_EMOTION_COUNT]; /**< calibrated, sum 1 */
    int uncertain;                           /**< non-zero: confidence is below the model's threshold of doubt */
    float quality; /**< 0..1: size, sharpness and light of the crop; low means do not trust the label */
} mien_face;

/** Milliseconds of wall-clock time spent on each step. */
typedef struct mien_timing {
    double decode, detect, classify, total;
} mien_timing;

/** What an analysis found. Zero-initialise before first use; may be reused; free with mien_result_done(). */
typedef struct mien_result {
    size_t width, height; /**< of the upright picture */
    mien_face *faces;     /**< by descending score; the older systems' presets keep those systems' order */
    size_t face_count;
    size_t raw_count; /**< candidates before the false-positive filter, for information */
    int stage;        /**< which of a preset's detection passes found the faces, from 1; 0 = none */
    mien_timing timing;
} mien_result;

MIEN_API void mien_result_done(mien_result *result); /**< free the faces and zero it; accepts NULL */

/**
 * Ways of going about it. The named presets repeat what the systems they come from do.
 *   default      mien's own choice of detector and crop
 *   neo          grey, Gaussian 3×3, equalised; cascade 1.1 / 4 / 30×30; false-positive filter; NMS 0.3
 *   faceml       grey; cascade 1.1 / 5 / 30×30; crop without padding
 *   history-api  CLAHE; cascade in up to three passes; NMS 0.3; padded boxes
 */
typedef enum mien_preset {
    MIEN_PRESET_DEFAULT = 0,
    MIEN_PRESET_NEO,
    MIEN_PRESET_FACEML,
    MIEN_PRESET_HISTORY_API,
    MIEN_PRESET_COUNT
} mien_preset;

/** "default", "neo", "faceml", "history-api"; NULL outside the range. */
MIEN_API const char *mien_preset_name(mien_preset preset);
/** The preset of that name. @return MIEN_OK, MIEN_ENOTFOUND, MIEN_EINVAL (NULL). */
MIEN_API mien_status mien_preset_from_name(const char *name, mien_preset *preset, mien_error *error);

/** Arithmetic of the emotion network. Of 345 faces in photographs int8 moved no probability of the shipped model by
 * more than 0.04, half of them by 0.002; bf16 is closer still. On processors without the instructions (AVX-512 BF16,
 * VNNI) both run as f32. */
typedef enum mien_precision {
    MIEN_PRECISION_AUTO = 0, /**< int8 for a model that carries its ranges, else f32 */
    MIEN_PRECISION_F32,
    MIEN_PRECISION_BF16,
    MIEN_PRECISION_INT8 /**< takes a model that carries its ranges, as `mien eval --calibrate` writes it */
} mien_precision;

/** "auto", "f32", "bf16", "int8"; NULL outside the range. */
MIEN_API const char *mien_precision_name(mien_precision precision);
/** The precision of that name. @return MIEN_OK, MIEN_ENOTFOUND, MIEN_EINVAL (NULL). */
MIEN_API mien_status mien_precision_from_name(const char *name, mien_precision *precision, mien_error *error);

/** Names of the emotion models that ship, the default first; NULL past the last. */
MIEN_API const char *mien_shipped_model(size_t index);

/** Begin with mien_analyzer_default_options(): not every default is zero. */
typedef struct mien_analyzer_options {
    const char *model_path;    /**< emotion model: a file, or the name of one that ships; NULL = the default one */
    const char *cascade_path;  /**< OpenCV cascade XML, for the named presets; NULL =
                                  haarcascade_frontalface_default.xml of opencv-data. Where that is missing, only what
                                  searches with it fails */
    const char *detector_path; /**< face network; NULL = the shipped one, where there is one */
    int threads;               /**< threads that one analysis may use, 1..64; default 1 */
    mien_precision precision;  /**< of the emotion network; default MIEN_PRECISION_AUTO */
} mien_analyzer_options;

/** Where to look for a face, and how large it may be. */
typedef struct mien_search_region {
    mien_rect box;              /**< inside the picture */
    int32_t min_side, max_side; /**< of the face, pixels of the picture */
} mien_search_region;

/** Begin with mien_analyze_default_options(): not every default is zero. All that is pointed to is borrowed for the
 * call. */
typedef struct mien_analyze_options {
    mien_preset preset;
    mien_image_limits limits; /**< for mien_analyze_bytes() */
    size_t max_faces;         /**< keep this many best faces; 0 = all */
    int32_t min_face;         /**< smallest face side in pixels of the picture; 0 = the preset's own rule: for default
                                 32 pixels of a picture fitted into 1024 × 1024. Smaller finds more and takes longer */
    float min_score;          /**< face networks: least score of a face, 0..1; 0 = the network's own */
    float min_confidence;     /**< leave out faces whose confidence is below, 0..1; default 0 */
    double scale_factor;      /**< cascade pyramid step, > 1; 0 = the preset's */
    int min_neighbors;        /**< cascade grouping; negative = the preset's; default -1 */
    const mien_rect *face_boxes; /**< non-NULL: no detection; classify exactly these (clipped) boxes */
    size_t face_box_count;
    const mien_search_region
        *regions; /**< non-NULL: the default preset searches only these (see mien_tracker_search) */
    size_t region_count;
    /** Called by mien_analyze_bytes() and mien_analyze_frame() once the picture's size is known, before its memory is
     *  taken: `bytes` is the most that reading and searching it will hold at a time, beyond the session's own. It may
     *  wait; anything but MIEN_OK ends the analysis with that status. NULL = nobody is asked. */
    mien_status (*reserve)(void *context, uint64_t bytes, mien_error *error);
    void *reserve_context;
} mien_analyze_options;

typedef struct mien_analyzer mien_analyzer; /**< immutable; shared between threads */
typedef struct mien_session mien_session;   /**< one per thread */

MIEN_API void mien_analyzer_default_options(mien_analyzer_options *options);
MIEN_API void mien_analyze_default_options(mien_analyze_options *options);

/**
 * Load detector and model.
 * @param options   NULL = defaults.
 * @param analyzer  [out] destroy with mien_analyzer_destroy() after all its sessions.
 * @return MIEN_OK, MIEN_EINVAL, MIEN_ENOTFOUND or _EDENIED or _EIO (a file), _EFORMAT, _EUNSUPPORTED, _ELIMIT, _ENOMEM.
 */
MIEN_API mien_status mien_analyzer_create(const mien_analyzer_options *options, mien_analyzer **analyzer,
                                          mien_error *error);
MIEN_API void mien_analyzer_destroy(mien_analyzer **analyzer); /**< sets it to NULL; accepts NULL */

/** The memory of one thread's runs; borrows the analyzer, which must outlive it.
 *  @return MIEN_OK, MIEN_EINVAL (NULL), MIEN_ENOMEM. */
MIEN_API mien_status mien_session_create(mien_analyzer *analyzer, mien_session **session, mien_error *error);
MIEN_API void mien_session_destroy(mien_session **session); /**< sets it to NULL; accepts NULL */

/** Analyse an encoded picture; no face is MIEN_OK. `result` is overwritten; on failure it is untouched.
 *  @return as mien_image_decode(); MIEN_EINVAL (an option); MIEN_ENOTFOUND (a named preset, and the default cascade is
 *  missing); what `reserve` gave; MIEN_EINTERNAL. */
MIEN_API mien_status mien_analyze_bytes(mien_session *session, const void *bytes, size_t length,
                                        const mien_analyze_options *options, mien_result *result, mien_error *error);
/** Analyse raw pixels of any format and stride. @return as above; MIEN_EINVAL (no pixels), MIEN_ELIMIT (too many). */
MIEN_API mien_status mien_analyze_view(mien_session *session, const mien_image_view *view,
                                       const mien_analyze_options *options, mien_result *result, mien_error *error);

#ifdef __cplusplus
}
#endif
#endif
