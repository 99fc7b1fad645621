/* Folders: the names in one, sorted, so that pictures come in the same order on every
** machine, and new ones. */
#ifndef df_folder_h
#define df_folder_h

#include "base/base.h"

typedef struct df_names {
  size_t count, room;
  char **name;           /* sorted by bytes; the name of a folder ends with '/' */
  uint64_t device, file; /* identify the folder itself, by whatever path */
} df_names;

/* The names in the folder, except those that begin with a dot. DF_WORLD if it can't be
** read; then the list is empty. */
int df_folder_list(df_names *names, const char *path);
void df_names_free(df_names *names);

/* Makes a folder and those above it that are missing. A folder that exists is fine. */
int df_folder_make(const char *path);

#endif
