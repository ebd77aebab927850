/* A shared library wants one source of its own; everything in it comes from the folders of src/. */
typedef int library_has_no_source_of_its_own;
