/* A look at a protobuf message before it is parsed: how deep it nests and how much it will unfold to. */
#ifndef MODEL_ONNX_SCAN_H
#define MODEL_ONNX_SCAN_H

#include <mien/base.h>

#include <protobuf-c/protobuf-c.h>

/**
 * Walk the bytes as `type` without taking memory.
 * @param max_items  most sub-messages, strings and repeated numbers outside packed runs.
 * @return MIEN_OK, MIEN_EFORMAT (truncated, a length beyond the end; with offset), MIEN_ELIMIT (too deep, too many).
 */
mien_status onnx_scan(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length, size_t max_items,
                      mien_error *error);

#endif
