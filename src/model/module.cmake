# ONNX's own schema, turned into C at build time. The generated file is not ours: it is compiled without warnings, and
# only onnx_wire.c sees its header.
find_program(PROTOC_C protoc-c REQUIRED)
find_path(ONNX_PROTO_FOLDER onnx/onnx.proto REQUIRED)
set(onnx_generated ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${onnx_generated})
add_custom_command(
  OUTPUT ${onnx_generated}/onnx/onnx.pb-c.c ${onnx_generated}/onnx/onnx.pb-c.h
  COMMAND ${PROTOC_C} --c_out=${onnx_generated} -I${ONNX_PROTO_FOLDER} ${ONNX_PROTO_FOLDER}/onnx/onnx.proto
  DEPENDS ${ONNX_PROTO_FOLDER}/onnx/onnx.proto
  VERBATIM)
target_sources(mien_model PRIVATE ${onnx_generated}/onnx/onnx.pb-c.c ${onnx_generated}/onnx/onnx.pb-c.h)
set_source_files_properties(${onnx_generated}/onnx/onnx.pb-c.c PROPERTIES COMPILE_OPTIONS "-w")
target_include_directories(mien_model SYSTEM PRIVATE ${onnx_generated})
