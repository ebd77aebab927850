# libmien: the vision folders as one shared library that exports only what include/mien declares, with its pkg-config
# file, headers and man pages.
include(GNUInstallDirs)
set(vision base image prep nn model detect emotion track pipeline)
list(TRANSFORM vision PREPEND "mien_" OUTPUT_VARIABLE modules)
set(objects "")
foreach(module ${modules})
  list(APPEND objects $<TARGET_OBJECTS:${module}>)
endforeach()
# All objects, whoever calls them; of the archives nothing is left to take, but they bring what they are linked with.
add_library(mien SHARED ${objects})
target_link_libraries(mien PRIVATE ${modules})
# Until 1.0 a minor version may change the interface, so it is part of the soname.
set(soversion ${PROJECT_VERSION_MAJOR})
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(soversion 0.${PROJECT_VERSION_MINOR})
endif()
set_target_properties(mien PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${soversion} LINKER_LANGUAGE C
                                      LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
if(NOT MIEN_SANITIZE) # clang links a sanitizer's functions into programs only
  target_link_options(mien PRIVATE -Wl,--no-undefined)
endif()

target_include_directories(mien INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

add_executable(example_faces ${CMAKE_SOURCE_DIR}/examples/faces.c)
target_link_libraries(example_faces PRIVATE mien)

# libmien.a, for who wants one: `cmake --build build --target mien_static`. The folders' objects become one in which only the
# public names are left, so that none of ours meets one of the program's. What it needs stands in mien.pc (--static).
set(archives "")
set(MIEN_LIBRARIES "")
foreach(name ${vision})
  list(APPEND archives $<TARGET_FILE:mien_${name}>)
  get_property(libraries GLOBAL PROPERTY mien_${name}_libraries)
  list(APPEND MIEN_LIBRARIES ${libraries})
endforeach()
list(REMOVE_DUPLICATES MIEN_LIBRARIES)
list(TRANSFORM MIEN_LIBRARIES PREPEND "-l")
list(JOIN MIEN_LIBRARIES " " MIEN_LIBRARIES)
set(static ${CMAKE_BINARY_DIR}/${CMAKE_STATIC_LIBRARY_PREFIX}mien${CMAKE_STATIC_LIBRARY_SUFFIX})
add_custom_command(OUTPUT ${static} DEPENDS ${modules} VERBATIM COMMENT "Making libmien.a"
  COMMAND ${CMAKE_LINKER} -r -o ${CMAKE_BINARY_DIR}/mien.o --whole-archive ${archives}
  COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${CMAKE_BINARY_DIR}/mien.o
  COMMAND ${CMAKE_COMMAND} -E rm -f ${static}
  COMMAND ${CMAKE_AR} rcsD ${static} ${CMAKE_BINARY_DIR}/mien.o)
add_custom_target(mien_static DEPENDS ${static})

# What finds it: pkg-config, and find_package(mien) with the target mien::mien. An installation may be moved.
file(RELATIVE_PATH MIEN_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_SOURCE_DIR}/cmake/mien.pc.in ${CMAKE_BINARY_DIR}/mien.pc @ONLY)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/mienConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(TARGETS mien EXPORT mien LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT mien NAMESPACE mien:: FILE mienConfig.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mien)
install(FILES ${CMAKE_BINARY_DIR}/mienConfigVersion.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mien)
install(FILES ${CMAKE_BINARY_DIR}/mien.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${static} DESTINATION ${CMAKE_INSTALL_LIBDIR} OPTIONAL)

install(TARGETS mien_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/mien DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/mien/models FILES_MATCHING PATTERN "*.md"
                                                                                                   PATTERN "*.onnx")

# A subcommand has a page of its own in docs/man where there is more to say than --help does; for the others, and for
# mien.1, the page is what --help prints.
file(GLOB written CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/man/*.1)
install(FILES ${written} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
find_program(HELP2MAN help2man)
if(HELP2MAN)
  set(pages "")
  foreach(command "" detect video serve train eval bench)
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
