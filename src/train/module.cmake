# Training over several processes, where Open MPI (or another MPI) is installed. Only cluster.c includes it.
option(MIEN_WITH_MPI "Train over MPI where it is installed" ON)
if(MIEN_WITH_MPI)
  find_package(MPI COMPONENTS C QUIET)
  if(MPI_C_FOUND)
    target_compile_definitions(mien_train PRIVATE MIEN_MPI)
    target_link_libraries(mien_train PUBLIC MPI::MPI_C)
  endif()
endif()
