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
    static unsigned char bytes[16 << 20];
    mien_status status = mien_analyzer_create(NULL, &analyzer, &error);
    if (!status)
        status = mien_session_create(analyzer, &session, &error);

    for (int i = 1; i < argc && !status; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) {
            perror(argv[i]);
            continue;
        }
        size_t length = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        status = mien_analyze_bytes(session, bytes, length, NULL, &result, &error);
        for (size_t f = 0; f < result.face_count && !status; f++) {
            const mien_face *face = &result.faces[f];
            printf("%s: %d×%d at %d,%d looks %s (%.0f %%)\n", argv[i], face->box.width, face->box.height, face->box.x,
                   face->box.y, mien_emotion_name(face->emotion), 100.0 * face->confidence);
        }
    }
    if (status)
        fprintf(stderr, "%s: %s\n", mien_status_name(status), error.message);
    mien_result_done(&result);
    mien_session_destroy(&session);
    mien_analyzer_destroy(&analyzer);
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
