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
target_link_options(mien PRIVATE -Wl,--exclude-libs,libmien_train.a)
if(NOT MIEN_SANITIZE) # clang links a sanitizer's functions into programs only
  target_link_options(mien PRIVATE -Wl,--no-undefined)
endif()

add_executable(example_faces ${CMAKE_SOURCE_DIR}/examples/faces.c)
target_include_directories(example_faces PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(example_faces PRIVATE mien)

file(RELATIVE_PATH MIEN_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /) # an installation may be moved
configure_file(${CMAKE_SOURCE_DIR}/cmake/mien.pc.in ${CMAKE_BINARY_DIR}/mien.pc @ONLY)
install(TARGETS mien LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS mien_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/mien DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_BINARY_DIR}/mien.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/mien/models FILES_MATCHING PATTERN "*.md"
                                                                                                   PATTERN "*.onnx")

# A subcommand has a page of its own in docs/man where there is more to say than --help does; for the others, and for
# mien.1, the page is what --help prints.
file(GLOB written CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/man/*.1)
install(FILES ${written} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
find_program(HELP2MAN help2man)
if(HELP2MAN)
  set(pages "")
  foreach(command "" detect video serve train eval)
    string(REGEX REPLACE "(.+)" "-\\1" suffix "${command}")
    if(EXISTS ${CMAKE_SOURCE_DIR}/docs/man/mien${suffix}.1)
      continue()
    endif()
    set(page ${CMAKE_BINARY_DIR}/man/mien${suffix}.1)
    add_custom_command(OUTPUT ${page} DEPENDS mien_program VERBATIM
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
      COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C.UTF-8 ${HELP2MAN} --locale=C.UTF-8 --no-info --output=${page}
              --version-string=${PROJECT_VERSION} --name=facial\ expressions\ in\ pictures
              "$<TARGET_FILE:mien_program> ${command}")
    list(APPEND pages ${page})
  endforeach()
  add_custom_target(man ALL DEPENDS ${pages})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
else()
  message(STATUS "help2man is missing: mien.1 is not made")
endif()
file(GLOB pages ${CMAKE_SOURCE_DIR}/docs/man/*.3)
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
