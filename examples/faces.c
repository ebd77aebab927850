/* The smallest useful program: pictures in, faces out.   cc faces.c $(pkg-config --cflags --libs mien) */
#include <stdio.h>
#include <stdlib.h>

#include <mien/mien.h>

int main(int argc, char **argv)
{
    mien_error error = {0};
    mien_analyzer *analyzer = NULL; /* detector and model: immutable, shared between threads */
    mien_session *session = NULL;   /* one per thread */
    mien_result result = {0};
    static unsigned char bytes[16 << 20]; /* a larger file would be cut off, which mien_analyze_bytes() refuses */
    int failed = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: %s PICTURE...\n", argv[0]);
        return 2;
    }
    mien_status status = mien_analyzer_create(NULL, &analyzer, &error);
    if (!status)
        status = mien_session_create(analyzer, &session, &error);
    if (status) {
        fprintf(stderr, "%s\n", error.message);
        failed = 1;
    }
    for (int i = 1; i < argc && session; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) {
            perror(argv[i]);
            failed = 1;
            continue;
        }
        size_t length = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        if (mien_analyze_bytes(session, bytes, length, NULL, &result, &error)) {
            fprintf(stderr, "%s: %s\n", argv[i], error.message);
            failed = 1;
            continue;
        }
        for (size_t f = 0; f < result.face_count; f++) {
            const mien_face *face = &result.faces[f];
            printf("%s: %d×%d at %d,%d looks %s (%.0f %%)\n", argv[i], face->box.width, face->box.height, face->box.x,
                   face->box.y, mien_emotion_name(face->emotion), 100.0 * face->confidence);
        }
    }
    mien_result_done(&result);
    mien_session_destroy(&session);
    mien_analyzer_destroy(&analyzer);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
