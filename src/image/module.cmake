# Video is a module of its own, built where FFmpeg is there and loaded when a video is opened.
include(GNUInstallDirs)
set_property(SOURCE ${CMAKE_SOURCE_DIR}/src/image/video.c APPEND PROPERTY COMPILE_DEFINITIONS
  MIEN_MODULE_FOLDER="${CMAKE_INSTALL_FULL_LIBDIR}/mien")
pkg_check_modules(FFMPEG QUIET IMPORTED_TARGET libavformat libavcodec libavutil libswscale)
if(FFMPEG_FOUND)
  add_library(mien_video MODULE ${CMAKE_SOURCE_DIR}/src/image/ffmpeg/video_ffmpeg.c)
  target_link_libraries(mien_video PRIVATE mien_image PkgConfig::FFMPEG -Wl,--exclude-libs,ALL)
  set_target_properties(mien_video PROPERTIES PREFIX "" OUTPUT_NAME mien-video LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  install(TARGETS mien_video LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/mien)
endif()
