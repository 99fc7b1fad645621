/* Side files: what is written beside a file until it is whole and takes its place.
**
** They are called NAME.PID-k, and a lock is held on each while it is written. What a kill
** leaves behind has no lock: the next save of NAME removes those older than a day. A
** process's number says nothing of them, since folders are shared between machines. */
#ifndef df_aside_h
#define df_aside_h

#include "io/place.h"

typedef struct df_aside {
  const df_place *place;    /* what is to be replaced */
  char path[PATH_MAX + 32]; /* what is written meanwhile */
  int file;
} df_aside;

/* Opens a side file for a place that is new or a regular file. */
int df_aside_open(df_aside *a, const df_place *place);

/* The file becomes the place's, with the old one's permissions, on the disk; where `code`
** is none, or something fails, it is removed and the old file is as it was. */
int df_aside_close(df_aside *a, int code);

#endif
