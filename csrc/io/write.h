/* Files written whole or not at all: beside the old one, to the disk, then renamed over
** it, so that whoever looks finds either the old file or the new one. */
#ifndef df_write_h
#define df_write_h

#include "base/base.h"

typedef struct df_part {
  const void *data;
  size_t bytes;
} df_part;

/* Writes the parts, one after the other, as the file `path` (where it is a link, the
** file that it leads to). On failure, DF_WORLD, the old file is as it was and nothing is
** left beside it. */
int df_write_file(const char *path, const df_part *part, size_t parts);

#endif
