/* Reference-counted memory of tensors: a handle on a body {data, bytes, version, packs}.
** Every write increments the version and frees the packed operands. A tape compares
** versions to detect that a saved value was overwritten. */
#ifndef df_storage_h
#define df_storage_h

#include "base/kept.h"

#define DF_PACK_FACTS 16

/* Identifies a packed operand. Keys are compared whole. */
typedef struct df_pack_key {
  const void *kind;           /* an address that identifies the layout */
  df_int fact[DF_PACK_FACTS]; /* the window, and all else that the layout depends on */
} df_pack_key;

/* A packed operand: weights in the layout of one engine. It is valid until the next
** write. */
typedef struct df_pack {
  struct df_pack *next;
  df_pack_key key;
  df_kept kept; /* its block may be dropped at any time */
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

/* The packed operand of this key, with a block or without; NULL with DF_MEMORY. */
df_kept *df_pack_of(df_storage *s, const df_pack_key *key);

/* Raises the budget of packed operands by 45 % of the bytes of parameters that are read
** in a mapped file. Call it with the same bytes, negative, when the file is released. */
void df_pack_adopted(df_int bytes);

#endif
