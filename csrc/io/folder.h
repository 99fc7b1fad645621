/* The names in a folder, sorted: the same pictures in the same order on every machine. */
#ifndef df_folder_h
#define df_folder_h

#include "base/base.h"

typedef struct df_names {
  size_t count;
  char **name;           /* sorted by bytes; behind a folder's name stands '/' */
  uint64_t device, file; /* of the folder itself: the same by whatever path */
} df_names;

/* What is in the folder, but for names that begin with a dot. DF_WORLD where it can't be
** read; then the list is empty. */
int df_folder_list(df_names *names, const char *path);
void df_names_free(df_names *names);

#endif
