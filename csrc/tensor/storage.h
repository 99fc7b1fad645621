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

/* Bytes [at, at + bytes) of a body. */
typedef struct df_extent {
  size_t at, bytes;
} df_extent;

/* A packed operand: weights in the layout of one engine. It is valid until the next
** write. */
typedef struct df_pack {
  struct df_pack *next;
  df_pack_key key;
  df_extent source; /* its weights */
  df_kept kept;     /* its block may be dropped at any time */
} df_pack;

/* The kind of a body's memory. Only a mapped file has more than `release`. */
typedef struct df_memory_kind {
  void (*release)(void *owner); /* frees it */
  void (*written)(void *owner); /* a write has changed it */
  /* The bytes of its pages in [data, data + bytes) that can be read from the file again.
  ** `let_go` removes them from memory. */
  size_t (*pages)(void *owner, void *data, size_t bytes, bool let_go);
} df_memory_kind;

typedef struct df_body {
  void *data;
  size_t bytes;
  uint64_t version;
  df_pack *packs;
  const df_memory_kind *kind;
  void *owner;
} df_body;

typedef struct df_storage {
  int refs;
  df_body *body;
} df_storage;

df_storage *df_storage_new(size_t bytes); /* contents undefined */

/* Wraps memory that the caller owns. `kind->release(owner)` is called at the end. */
df_storage *df_storage_around(void *data, size_t bytes, const df_memory_kind *kind,
                              void *owner);
extern const df_memory_kind df_memory_own; /* owner: a block of df_alloc */
df_storage *df_storage_retain(df_storage *s);
void df_storage_release(df_storage *s);
void df_storage_touch(df_storage *s); /* call this after a write */

/* The packed operand of this key, with a block or without; NULL with DF_MEMORY. */
df_pack *df_pack_of(df_storage *s, const df_pack_key *key, df_extent source);

/* As df_kept_make. The budget doesn't count the pages of the source, which
** df_pack_is_made removes from memory. */
void *df_pack_make(df_storage *s, df_pack *p, size_t bytes);
void df_pack_is_made(df_storage *s, const df_pack *p);

/* Raises the budget of packed operands by 45 % of the bytes of parameters that are read
** in a mapped file. Call it with the same bytes, negative, when the file is released. */
void df_pack_adopted(df_int bytes);

#endif
