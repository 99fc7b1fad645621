/* Files as memory: a mapping that never writes to the file, and bounds-checked windows on
** it. Mappings are counted, so that tensors can keep a file open. */
#ifndef df_map_h
#define df_map_h

#include "base/base.h"

typedef struct df_map {
  int refs;
  size_t bytes;
  uint8_t *data;                    /* never NULL */
  void (*release)(struct df_map *); /* frees data */
  struct df_map *whole;             /* the mapping that this one is a part of */
  bool clean;                       /* pages of a file that were never written to */
} df_map;

/* Maps a whole regular file. NULL with DF_WORLD if it can't be mapped. Writes to the
** memory don't reach the file. If another program cuts the file short while it is mapped,
** this process ends (SIGBUS). A file replaced by a rename stays whole. */
df_map *df_map_open(const char *path);

/* The same read into memory, so that later changes of the file don't matter. */
df_map *df_map_copy(const char *path);

/* The bytes [offset, offset + bytes) of m. NULL with DF_WORLD if m doesn't have them
** all. */
df_map *df_map_part(df_map *m, size_t offset, size_t bytes);

/* Undefined memory without a file, for inflated bytes. */
df_map *df_map_memory(size_t bytes);

df_map *df_map_retain(df_map *m);
/* These have the types that df_memory_kind wants. NULL is fine for release. */
void df_map_release(void *m);
void df_map_written(void *m);
size_t df_map_pages(void *m, void *data, size_t bytes, bool let_go);

/* Bytes [offset, offset + bytes), valid as long as the mapping. NULL with DF_WORLD if m
** doesn't have them all. */
uint8_t *df_map_window(const df_map *m, size_t offset, size_t bytes);

/* Asks for huge pages, if the system has them. Weights that are read once a step would
** wait for the page tables. In a virtual machine on a Sapphire Rapids, one core reads 256
** MB at 16 GB/s, and at 6 GB/s in pages of 4 KiB. A UNet's step takes 0.7 of its time. */
void df_map_huge(void *memory, size_t bytes);

#endif
