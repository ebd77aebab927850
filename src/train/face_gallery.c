/* Pictures with a detector's mistakes drawn in. Colours are of Okabe and Ito's palette; whoever cannot tell them apart
 * still sees which boxes are whole: mistakes have thick lines. */
#include "train/face_report.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/draw.h"
#include "prep/prep.h"

enum { GALLERY_SIDE = 480, GALLERY_QUALITY = 80, VERDICT_QUALITY = 90 };

static const image_colour colour_found = {0, 158, 115}, colour_wrong = {213, 94, 0}, colour_missed = {240, 228, 66};

static size_t verdict_missed(const face_verdict *v)
{
    size_t missed = 0;
    for (size_t t = 0; t < v->truth_count; t++)
        missed += v->missed[t];
    return missed;
}

static size_t verdict_wrong(const face_verdict *v)
{
    size_t wrong = 0;
    for (size_t a = 0; a < v->answer_count; a++)
        wrong += v->hits[a] < 0;
    return wrong;
}

size_t face_verdict_mistakes(const face_verdict *verdict)
{
    return verdict_missed(verdict) + verdict_wrong(verdict);
}

/* Halved as long as that is not too much, then the rest, so that thin things do not vanish between samples. */
static mien_status verdict_copy(const mien_image *picture, size_t most, mien_image *copy, mien_error *error)
{
    size_t longer = picture->width > picture->height ? picture->width : picture->height;
    double scale = most && longer > most ? (double)most / (double)longer : 1;
    size_t width = (size_t)((double)picture->width * scale + 0.5),
           height = (size_t)((double)picture->height * scale + 0.5);
    mien_image_view view = mien_image_as_view(picture);
    mien_status status = mien_image_init(copy, width ? width : 1, height ? height : 1, picture->format, error);
    return status ? status : prep_resize_linear(&view, copy, error);
}

static mien_status verdict_box(mien_image *copy, const face_box *box, double scale, image_colour colour, float line,
                               mien_error *error)
{
    float by = (float)scale;
    image_box scaled = {box->x * by, box->y * by, box->width * by, box->height * by};
    return image_draw_box(copy, &scaled, colour, line, error);
}

static mien_status verdict_draw_boxes(const face_verdict *v, mien_image *copy, double scale, mien_error *error)
{
    float line = image_line_width(copy);
    mien_status status = MIEN_OK;
    for (size_t a = 0; a < v->answer_count && !status; a++)
        if (v->hits[a])
            status = verdict_box(copy, &v->answers[a].box, scale, v->hits[a] > 0 ? colour_found : colour_wrong,
                                 v->hits[a] > 0 ? 0.6f * line : 1.4f * line, error);
    for (size_t t = 0; t < v->truth_count && !status; t++)
        if (v->missed[t])
            status = verdict_box(copy, &v->truths[t].box, scale, colour_missed, 1.4f * line, error);
    return status;
}

static mien_status verdict_encode(const face_verdict *v, const mien_image *picture, size_t most, int quality,
                                  buffer *jpeg, mien_error *error)
{
    mien_image copy = {0};
    uint8_t *bytes = NULL;
    size_t length = 0;
    mien_status status = verdict_copy(picture, most, &copy, error);
    if (!status)
        status = verdict_draw_boxes(v, &copy, (double)copy.width / (double)picture->width, error);
    mien_image_view view = mien_image_as_view(&copy);
    if (!status)
        status = mien_image_encode_jpeg(&view, quality, &bytes, &length, error);
    if (!status && buffer_append(jpeg, bytes, length))
        status = buffer_status(jpeg, error);
    mien_free(bytes);
    mien_image_done(&copy);
    return status;
}

mien_status face_verdict_draw(const face_verdict *verdict, const mien_image *picture, size_t most, buffer *jpeg,
                              mien_error *error)
{
    return verdict_encode(verdict, picture, most, VERDICT_QUALITY, jpeg, error);
}

static void gallery_picture_done(struct face_gallery_picture *picture)
{
    memory_free(picture->file);
    buffer_done(&picture->jpeg);
    *picture = (struct face_gallery_picture){0};
}

mien_status face_gallery_add(face_gallery *gallery, const face_verdict *verdict, const mien_image *picture,
                             mien_error *error)
{
    struct face_gallery_picture made = {.missed = verdict_missed(verdict), .wrong = verdict_wrong(verdict)};
    size_t mistakes = made.missed + made.wrong, at = 0;
    while (at < gallery->count && gallery->pictures[at].missed + gallery->pictures[at].wrong >= mistakes)
        at++;
    if (!mistakes || at == FACE_GALLERY_MOST)
        return MIEN_OK;
    buffer_init(&made.jpeg, 0);
    made.file = memory_text_span(verdict->file, strlen(verdict->file));
    mien_status status = made.file ? verdict_encode(verdict, picture, GALLERY_SIDE, GALLERY_QUALITY, &made.jpeg, error)
                                   : error_no_memory(error, strlen(verdict->file));
    if (status) {
        gallery_picture_done(&made);
        return status;
    }
    if (gallery->count == FACE_GALLERY_MOST)
        gallery_picture_done(&gallery->pictures[--gallery->count]);
    memmove(gallery->pictures + at + 1, gallery->pictures + at, (gallery->count - at) * sizeof *gallery->pictures);
    gallery->pictures[at] = made;
    gallery->count++;
    return MIEN_OK;
}

void face_gallery_done(face_gallery *gallery)
{
    for (size_t i = 0; gallery && i < gallery->count; i++)
        gallery_picture_done(&gallery->pictures[i]);
    if (gallery)
        gallery->count = 0;
}
