/* The pictures that a command is to look at: files, the pictures of folders, standard input, in the order given. */
#ifndef APP_FILE_LIST_H
#define APP_FILE_LIST_H

#include <mien/base.h>

#include <stdbool.h>

/** Empty when all but `command` is zero. */
typedef struct file_list {
    const char *command; /* of mien, in front of its messages */
    char **paths;        /* "-" is standard input */
    size_t *numbers;     /* tell pictures of the same stem apart, 0 = the only one; made by file_list_number */
    size_t count, capacity;
    size_t failed; /* folders that could not be read, each said on standard error */
} file_list;

/** Folders stand for their pictures, those of the folders below included, sorted by name; hidden ones are passed over.
 */
void file_list_add_arguments(file_list *list, char **arguments, int count);
/** Number the pictures that share their stem: "stem-number" is nobody else's name, nor any picture's stem. The place in
 *  the list decides, so the same list gives the same names. */
mien_status file_list_number(file_list *list, mien_error *error);
void file_list_done(file_list *list);

/** The name without folder and ending, not NUL-terminated; standard input is called "stdin". */
const char *file_list_stem(const char *path, size_t *length);

#endif
