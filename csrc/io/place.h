/* Where a path to be written to leads. */
#ifndef df_place_h
#define df_place_h

#include <limits.h>
#include <sys/stat.h>

typedef enum df_place_kind {
  DF_PLACE_NEW,   /* nothing is there yet */
  DF_PLACE_FILE,  /* a regular file */
  DF_PLACE_STREAM /* a pipe or a device of characters: written to, never replaced */
} df_place_kind;

typedef struct df_place {
  df_place_kind kind;
  struct stat about;     /* of what is there */
  char target[PATH_MAX]; /* the file itself, links followed, dangling ones too */
} df_place;

/* DF_WORLD for folders, sockets and disks, and where the path leads nowhere. */
int df_place_find(df_place *place, const char *path);

/* Opens a stream to write to. A pipe waits a second for its reader, then DF_WORLD. */
int df_place_open_stream(int *file, const df_place *place);

#endif
