# The web page: type-checked, bundled and compiled into the program.
set(web ${CMAKE_SOURCE_DIR}/web)
set(page ${CMAKE_BINARY_DIR}/web)
find_program(NODE node REQUIRED)
find_program(NPM npm REQUIRED)

# The packages of a folder, from its lock file only. What needs them depends on <folder>/node_modules/.installed.
function(mien_npm_packages folder what)
  add_custom_command(
    OUTPUT ${folder}/node_modules/.installed
    COMMAND ${NPM} ci --prefix ${folder} --no-audit --no-fund --loglevel=error ${ARGN}
    COMMAND ${CMAKE_COMMAND} -E touch ${folder}/node_modules/.installed
    DEPENDS ${folder}/package-lock.json
    COMMENT "Installing ${what}")
endfunction()

mien_npm_packages(${web} "the web page's packages")
file(GLOB web_sources CONFIGURE_DEPENDS ${web}/src/*)
add_custom_command(
  OUTPUT ${page}/index.html
  COMMAND ${NODE} node_modules/typescript/bin/tsc --noEmit
  COMMAND ${NODE} build.mjs ${page}
  WORKING_DIRECTORY ${web}
  DEPENDS ${web_sources} ${web}/faces/found.ts ${web}/build.mjs ${web}/tsconfig.json ${web}/node_modules/.installed
  COMMENT "Building the web page")

# The API documents: openapi.json, the one source, and two viewers whose bundles come from npm, so that they work offline.
set(documents ${web}/documents)
set(shown ${CMAKE_BINARY_DIR}/documents)
mien_npm_packages(${documents} "the API documents' viewers" --ignore-scripts)
add_custom_command(
  OUTPUT ${shown}/openapi.json
  COMMAND ${CMAKE_COMMAND} -E make_directory ${shown}/documents
  COMMAND ${CMAKE_COMMAND} -E copy ${documents}/swagger.html ${documents}/swagger.js ${documents}/redoc.html
          ${documents}/redoc.js ${documents}/node_modules/swagger-ui-dist/swagger-ui.css
          ${documents}/node_modules/swagger-ui-dist/swagger-ui-bundle.js
          ${documents}/node_modules/redoc/bundles/redoc.standalone.js ${shown}/documents
  COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_LIST_DIR}/openapi.json ${shown}/openapi.json
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/openapi.json ${documents}/swagger.html ${documents}/swagger.js
          ${documents}/redoc.html ${documents}/redoc.js ${documents}/node_modules/.installed
  COMMENT "Gathering the API documents")

# Finding faces in the browser: MediaPipe and its model, fetched by the page only when a person turns that on.
set(page_folders "${page}|${shown}")
if(MIEN_BROWSER_FACES)
  set(faces ${web}/faces)
  set(finder ${CMAKE_BINARY_DIR}/faces)
  mien_npm_packages(${faces} "what finds faces in the browser" --ignore-scripts)
  add_custom_command(
    OUTPUT ${finder}/faces/worker.js
    COMMAND ${NODE} ${web}/node_modules/typescript/bin/tsc -p ${faces}
    COMMAND ${NODE} ${faces}/build.mjs ${finder}
    DEPENDS ${faces}/worker.ts ${faces}/found.ts ${faces}/build.mjs ${faces}/model.mjs ${faces}/tsconfig.json
            ${faces}/node_modules/.installed ${web}/node_modules/.installed
    COMMENT "Gathering what finds faces in the browser")
  string(APPEND page_folders "|${finder}")
  set(finder_built ${finder}/faces/worker.js)
endif()

add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/generated/static_files_data.c
  COMMAND ${CMAKE_COMMAND} -D "PAGES=${page_folders}" -D OUT=${CMAKE_BINARY_DIR}/generated
          -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${page}/index.html ${shown}/openapi.json ${finder_built} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  VERBATIM
  COMMENT "Embedding the web page")
target_sources(mien_server PRIVATE ${CMAKE_BINARY_DIR}/generated/static_files_data.c)
