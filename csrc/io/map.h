/* Files as memory: a mapping that never writes to the file, and bounds-checked windows
** on it. Counted, so that tensors may keep a file open. */
#ifndef df_map_h
#define df_map_h

#include "base/base.h"

typedef struct df_map {
  int refs;
  size_t bytes;
  uint8_t *data;                    /* never NULL */
  void (*release)(struct df_map *); /* gives data back */
  struct df_map *whole;             /* of a part */
} df_map;

/* Maps the whole of a regular file; NULL with DF_WORLD where it can't. What is written
** to the memory stays there: the file is as it was. A file cut short by another program
** while it is mapped ends this one (SIGBUS); files replaced by a rename stay whole. */
df_map *df_map_open(const char *path);

/* The same in memory that is no file's: what happens to the file later doesn't matter. */
df_map *df_map_copy(const char *path);

/* The bytes [offset, offset + bytes) of m; NULL with DF_WORLD if they aren't all there. */
df_map *df_map_part(df_map *m, size_t offset, size_t bytes);

/* Memory that is no file's, for what was inflated; contents undefined. */
df_map *df_map_memory(size_t bytes);

df_map *df_map_retain(df_map *m);
void df_map_release(void *m); /* NULL is fine; the type is df_storage_around's */

/* Bytes [offset, offset + bytes), or NULL with DF_WORLD if they aren't all there. Valid
** as long as the mapping. */
uint8_t *df_map_window(const df_map *m, size_t offset, size_t bytes);

#endif
