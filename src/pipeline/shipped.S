/* The bytes of models/emotion.onnx and models/face.onnx in read-only memory. */
        .section .rodata
        .hidden shipped_emotion_model
        .hidden shipped_emotion_model_end
        .hidden shipped_face_model
        .hidden shipped_face_model_end
        .global shipped_emotion_model
        .global shipped_emotion_model_end
        .global shipped_face_model
        .global shipped_face_model_end
        .balign 64
shipped_emotion_model:
        .incbin "emotion.onnx"
shipped_emotion_model_end:
        .balign 64
shipped_face_model:
#ifdef SHIPPED_FACE_MODEL
        .incbin "face.onnx"
#endif
shipped_face_model_end:
        .byte 0
        .section .note.GNU-stack,"",%progbits
