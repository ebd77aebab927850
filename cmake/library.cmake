# libmien: the vision folders as one shared library that exports only what include/mien declares, with its pkg-config
# file, headers and man pages.
include(GNUInstallDirs)
set(vision base image prep nn model detect emotion track pipeline)
add_library(mien SHARED ${CMAKE_SOURCE_DIR}/cmake/library.c)
set_target_properties(mien PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                                      LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
foreach(name ${vision})
  if(TARGET mien_${name})
    target_link_libraries(mien PRIVATE -Wl,--whole-archive,$<TARGET_FILE:mien_${name}>,--no-whole-archive mien_${name})
    add_dependencies(mien mien_${name})
  endif()
endforeach()
target_link_options(mien PRIVATE -Wl,--no-undefined -Wl,--exclude-libs,libmien_train.a)

add_executable(example_faces ${CMAKE_SOURCE_DIR}/examples/faces.c)
target_include_directories(example_faces PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(example_faces PRIVATE mien)

configure_file(${CMAKE_SOURCE_DIR}/cmake/mien.pc.in ${CMAKE_BINARY_DIR}/mien.pc @ONLY)
install(TARGETS mien LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS mien_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/mien DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_BINARY_DIR}/mien.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/mien/models FILES_MATCHING PATTERN "*.md"
                                                                                                   PATTERN "*.onnx")
file(GLOB pages ${CMAKE_SOURCE_DIR}/docs/man/*.1)
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
file(GLOB pages ${CMAKE_SOURCE_DIR}/docs/man/*.3)
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
