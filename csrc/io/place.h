/* The end of a path that will be written to. */
#ifndef df_place_h
#define df_place_h

#include <limits.h>
#include <sys/stat.h>

typedef enum df_place_kind {
  DF_PLACE_NEW,   /* nothing is there yet */
  DF_PLACE_FILE,  /* a regular file */
  DF_PLACE_STREAM /* a pipe or a character device: written to, never replaced */
} df_place_kind;

typedef struct df_place {
  df_place_kind kind;
  struct stat about; /* facts about a file that exists */
  /* the file itself; links are followed, also to files that don't exist */
  char target[PATH_MAX];
} df_place;

/* DF_WORLD for folders, sockets and disks, and if the path leads nowhere. */
int df_place_find(df_place *place, const char *path);

/* Opens a stream to write to. A pipe waits one second for its reader, then DF_WORLD. */
int df_place_open_stream(int *file, const df_place *place);

#endif
