/* Files written whole or not at all: beside the old one, to the disk, then renamed over
** it, so that whoever looks finds either the old file or the new one. Pipes and devices
** stay what they are and are written to. */
#ifndef df_write_h
#define df_write_h

#include <stdbool.h>
#include <stddef.h>

typedef struct df_bytes {
  const void *data;
  size_t bytes;
} df_bytes;

/* Writes the parts, one after the other, as the file `path` (where it is a link, the
** file that it leads to). On failure, DF_WORLD, the old file is as it was and nothing is
** left beside it; what a pipe or a device has got can't be taken back. */
int df_write_file(const char *path, const df_bytes *part, size_t parts);

/* Opens a file that grows, at its end or (`anew`) emptied, or a pipe or a device. */
int df_log_open(int *file, const char *path, bool anew);
int df_log_write(int file, const df_bytes *part);
void df_log_close(int file);

#endif
