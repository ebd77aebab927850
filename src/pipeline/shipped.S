/* The bytes of the models in models/ in read-only memory; shipped.c names them. */
        .section .rodata
        .macro shipped name, file
        .hidden \name
        .hidden \name\()_end
        .global \name
        .global \name\()_end
        .balign 64
\name:
        .ifnb \file
        .incbin "\file"
        .endif
\name\()_end:
        .endm

        shipped shipped_emotion_model, "emotion.onnx"
        shipped shipped_emotion_small_model, "emotion-small.onnx"
#ifdef SHIPPED_FACE_MODEL
        shipped shipped_face_model, "face.onnx"
#else
        shipped shipped_face_model
#endif
        .byte 0
        .section .note.GNU-stack,"",%progbits
