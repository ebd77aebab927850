# The web page, compiled into the program: web/dist where it has been built, else the plain page of web/static.
set(page ${CMAKE_SOURCE_DIR}/web/static)
if(EXISTS ${CMAKE_SOURCE_DIR}/web/dist/index.html)
  set(page ${CMAKE_SOURCE_DIR}/web/dist)
endif()
file(GLOB_RECURSE page_files CONFIGURE_DEPENDS ${page}/*)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/generated/static_files_data.c
  COMMAND ${CMAKE_COMMAND} -D PAGE=${page} -D OUT=${CMAKE_BINARY_DIR}/generated -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${page_files} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  COMMENT "Embedding the web page")
target_sources(mien_server PRIVATE ${CMAKE_BINARY_DIR}/generated/static_files_data.c)
