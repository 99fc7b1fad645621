/* Reference-counted memory of tensors: a handle on a body {data, bytes, version, packs}.
** Every write increments the version and frees the packed operands. A tape compares
** versions to detect that a saved value was overwritten. */
#ifndef df_storage_h
#define df_storage_h

#include "base/base.h"

/* A packed operand: weights in the layout of one engine. It is valid until the next
** write. */
typedef struct df_pack {
  struct df_pack *next;
  const void *kind; /* an address that identifies the layout */
  df_int offset;    /* start of the packed window, in elements */
  df_int extra;     /* distinguishes packs of one window */
  void *data;
} df_pack;

typedef struct df_body {
  void *data;
  size_t bytes;
  uint64_t version;
  df_pack *packs;
  void (*release)(void *owner); /* frees the memory, which may be a mapped file */
  void *owner;
} df_body;

typedef struct df_storage {
  int refs;
  df_body *body;
} df_storage;

df_storage *df_storage_new(size_t bytes); /* contents undefined */

/* Wraps memory that the caller owns. `release(owner)` is called at the end. */
df_storage *df_storage_around(void *data, size_t bytes, void (*release)(void *),
                              void *owner);
df_storage *df_storage_retain(df_storage *s);
void df_storage_release(df_storage *s);
void df_storage_touch(df_storage *s); /* call this after a write */

/* Returns the packed operand of this window, or NULL. */
void *df_pack_find(df_storage *s, const void *kind, df_int offset, df_int extra);

/* Allocates one that does not exist yet; NULL with DF_MEMORY. */
void *df_pack_make(df_storage *s, const void *kind, df_int offset, df_int extra,
                   size_t bytes);

#endif
