/* Files are written whole or not at all: next to the old one, to the disk, then renamed
** over it. So a reader finds either the old file or the new one. Pipes and devices are
** written to in place. */
#ifndef df_write_h
#define df_write_h

#include <stdbool.h>
#include <stddef.h>

typedef struct df_bytes {
  const void *data;
  size_t bytes;
} df_bytes;

/* Writes the parts, one after the other, as the file `path`, or as the file that a link
** leads to. On failure, DF_WORLD, the old file is unchanged and no new one is left. Bytes
** that a pipe or a device has received stay there. */
int df_write_file(const char *path, const df_bytes *part, size_t parts);

/* Opens a log to append to, or (`anew`) emptied; or a pipe or a device. */
int df_log_open(int *file, const char *path, bool anew);
int df_log_write(int file, const df_bytes *part);
void df_log_close(int file);

#endif
