/* Counted memory behind tensors: a handle on a body {data, bytes, version, packs}. Every
** write bumps the version, so stale packed operands and writes to values that a tape has
** kept are caught by one counter. */
#ifndef df_storage_h
#define df_storage_h

#include "base/base.h"

/* A packed operand (an engine's own layout of some weights), valid for one version. */
typedef struct df_pack {
  struct df_pack *next;
  const void *kind; /* the address of something that stands for the layout */
  df_int offset;    /* of the packed window, in elements */
  df_int extra;     /* tells apart packs of one window */
  uint64_t version;
  size_t bytes;
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

/* The packed operand of this window, or NULL if there is none of this version. */
void *df_pack_find(df_storage *s, const void *kind, df_int offset, df_int extra);

/* Room for one, taking the place of a stale one; NULL if memory is short. */
void *df_pack_make(df_storage *s, const void *kind, df_int offset, df_int extra,
                   size_t bytes);

#endif
