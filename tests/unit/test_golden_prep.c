/* Guards bit-exactness with OpenCV 4.6 on 82 photographs: decoded pixels, grey, grey → Gaussian 3×3 → equalised, and
 * CLAHE 2.0 / 8×8 have the SHA-1 that ../shared/photos/opencv_golden.json gives. */
#include "testing.h"

#include <jansson.h>
#include <openssl/evp.h>

#include <mien/image.h>

#include "base/buffer.h"
#include "base/file.h"
#include "prep/prep.h"

enum { MOST_BYTES = 64 << 20 };

static void sha1_of(const mien_image *image, char text[41])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    assert_int_equal(EVP_DigestInit_ex(context, EVP_sha1(), NULL), 1);
    for (size_t y = 0; y < image->height; y++)
        EVP_DigestUpdate(context, image->data + y * image->stride, image->width * mien_pixel_bytes(image->format));
    EVP_DigestFinal_ex(context, digest, &length);
    EVP_MD_CTX_free(context);
    for (unsigned i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static size_t differs(const char *file, const char *what, const mien_image *image, json_t *expected)
{
    char sha[41] = "";
    sha1_of(image, sha);
    if (strcmp(sha, json_string_value(expected)) == 0)
        return 0;
    print_message("%s: %s differs\n", file, what);
    return 1;
}

static mien_image decode_file(const char *file, mien_pixel_format format)
{
    char name[512], path[1024];
    snprintf(name, sizeof name, "photos/%s", file);
    buffer bytes;
    mien_error error = {0};
    buffer_init(&bytes, MOST_BYTES);
    assert_ok(file_read(testing_shared_file(name, path, sizeof path), MOST_BYTES, &bytes, &error), &error);
    mien_decode_options options;
    mien_decode_default_options(&options);
    options.ignore_orientation = 1;
    options.format = format;
    mien_image image = {0};
    assert_ok(mien_image_decode(bytes.data, bytes.length, &options, &image, &error), &error);
    buffer_done(&bytes);
    return image;
}

static size_t check_photo(const char *file, json_t *golden)
{
    json_t *seed0 = json_object_get(golden, "seed0"), *seed3 = json_object_get(golden, "seed3");
    mien_error error = {0};
    mien_image bgr = decode_file(file, MIEN_PIXEL_BGR8), decoded_grey = decode_file(file, MIEN_PIXEL_GREY8);
    mien_image grey = {0}, work = {0};
    size_t wrong = differs(file, "decoded BGR", &bgr, json_object_get(golden, "sha_bgr"));

    assert_ok(mien_image_init(&grey, bgr.width, bgr.height, MIEN_PIXEL_GREY8, &error), &error);
    assert_ok(mien_image_init(&work, bgr.width, bgr.height, MIEN_PIXEL_GREY8, &error), &error);
    mien_image_view colour = mien_image_as_view(&bgr), view = mien_image_as_view(&grey);
    mien_image_view work_view = mien_image_as_view(&work);
    assert_ok(prep_grey(&colour, &grey, &error), &error);
    wrong += differs(file, "grey", &grey, json_object_get(golden, "sha_gray"));
    wrong += differs(file, "grey from the decoder", &decoded_grey, json_object_get(golden, "sha_gray"));
    assert_ok(prep_gaussian(&view, &work, 3, 0, &error), &error);
    assert_ok(prep_equalise(&work_view, &work, &error), &error);
    wrong += differs(file, "Gaussian and equalised", &work, json_object_get(seed0, "sha_pre"));
    assert_ok(prep_clahe(&view, &work, 2.0, 8, 8, &error), &error);
    wrong += differs(file, "CLAHE", &work, json_object_get(seed3, "sha_clahe"));
    mien_image_done(&bgr);
    mien_image_done(&decoded_grey);
    mien_image_done(&grey);
    mien_image_done(&work);
    return wrong;
}

static void test_photographs(void **state)
{
    (void)state;
    char path[1024];
    json_t *golden = json_load_file(testing_shared_file("photos/opencv_golden.json", path, sizeof path), 0, NULL);
    assert_non_null(golden);
    assert_true(json_object_size(golden) > 0);
    const char *file;
    json_t *entry;
    size_t wrong = 0;
    json_object_foreach(golden, file, entry)
    {
        wrong += check_photo(file, entry);
    }
    json_decref(golden);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_photographs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
