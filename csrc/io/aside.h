/* Side files. A file is written to its side file until it is whole and takes its place.
**
** Side files are named NAME.PID-k, and each is locked while it is written. A killed
** process leaves one without a lock; the next save of NAME removes those older than a
** day. PID alone says nothing about them, since folders are shared between machines. */
#ifndef df_aside_h
#define df_aside_h

#include "io/place.h"

typedef struct df_aside {
  const df_place *place;    /* the file to be replaced */
  char path[PATH_MAX + 32]; /* the side file */
  int file;
} df_aside;

/* Opens a side file for a place that is new or a regular file. */
int df_aside_open(df_aside *a, const df_place *place);

/* Moves the file to the place, with the old one's permissions, and flushes it to the
** disk. If `code` isn't DF_OK or something fails, it is removed and the old file is
** unchanged. */
int df_aside_close(df_aside *a, int code);

#endif
