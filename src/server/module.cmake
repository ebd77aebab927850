# The web page: type-checked, bundled and compiled into the program. Its packages come from web/package-lock.json only.
set(web ${CMAKE_SOURCE_DIR}/web)
set(page ${CMAKE_BINARY_DIR}/web)
find_program(NODE node REQUIRED)
find_program(NPM npm REQUIRED)
file(GLOB web_sources CONFIGURE_DEPENDS ${web}/src/*)
add_custom_command(
  OUTPUT ${web}/node_modules/.installed
  COMMAND ${NPM} ci --prefix ${web} --no-audit --no-fund --loglevel=error
  COMMAND ${CMAKE_COMMAND} -E touch ${web}/node_modules/.installed
  DEPENDS ${web}/package-lock.json
  COMMENT "Installing the web page's packages")
add_custom_command(
  OUTPUT ${page}/index.html
  COMMAND ${NODE} node_modules/typescript/bin/tsc --noEmit
  COMMAND ${NODE} build.mjs ${page}
  WORKING_DIRECTORY ${web}
  DEPENDS ${web_sources} ${web}/build.mjs ${web}/tsconfig.json ${web}/node_modules/.installed
  COMMENT "Building the web page")
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/generated/static_files_data.c
  COMMAND ${CMAKE_COMMAND} -D PAGE=${page} -D OUT=${CMAKE_BINARY_DIR}/generated -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${page}/index.html ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  COMMENT "Embedding the web page")
target_sources(mien_server PRIVATE ${CMAKE_BINARY_DIR}/generated/static_files_data.c)
