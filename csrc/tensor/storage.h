/* Counted memory behind tensors: a handle on a body {data, bytes, version, packs}. Every
** write bumps the version, which tells a tape that a value it kept was written to, and
** lets go of the packed operands. */
#ifndef df_storage_h
#define df_storage_h

#include "base/base.h"

/* A packed operand (an engine's own layout of some weights), there until the next write. */
typedef struct df_pack {
  struct df_pack *next;
  const void *kind; /* the address of something that stands for the layout */
  df_int offset;    /* of the packed window, in elements */
  df_int extra;     /* tells apart packs of one window */
  void *data;
} df_pack;

typedef struct df_body {
  void *data;
  size_t bytes;
  uint64_t version;
  df_pack *packs;
  void (*release)(void *owner); /* frees the memory, ours or a mapped file's */
  void *owner;
} df_body;

typedef struct df_storage {
  int refs;
  df_body *body;
} df_storage;

df_storage *df_storage_new(size_t bytes); /* contents undefined */

/* Around memory of somebody else; `release(owner)` is called at the end. */
df_storage *df_storage_around(void *data, size_t bytes, void (*release)(void *),
                              void *owner);
df_storage *df_storage_retain(df_storage *s);
void df_storage_release(df_storage *s);
void df_storage_touch(df_storage *s); /* it was written to */

/* The packed operand of this window, or NULL if there is none. */
void *df_pack_find(df_storage *s, const void *kind, df_int offset, df_int extra);

/* Room for one where there is none; NULL if memory is short. */
void *df_pack_make(df_storage *s, const void *kind, df_int offset, df_int extra,
                   size_t bytes);

#endif
