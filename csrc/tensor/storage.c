/* Storage, with the packed operands that are cached in it. */
#include "tensor/storage.h"

#include <string.h>

#include "base/alloc.h"

typedef struct whole { /* a handle and its body in one block */
  df_storage handle;
  df_body body;
} whole;

df_storage *df_storage_around(void *data, size_t bytes, void (*release)(void *),
                              void *owner) {
  whole *w = df_alloc(sizeof *w);
  if (!w) return NULL;
  w->body = (df_body){ .data = data, .bytes = bytes, .release = release, .owner = owner };
  w->handle = (df_storage){ .refs = 1, .body = &w->body };
  return &w->handle;
}

df_storage *df_storage_new(size_t bytes) {
  void *data = df_alloc(bytes);
  if (!data) return NULL;
  df_storage *s = df_storage_around(data, bytes, df_free, data);
  if (!s) df_free(data);
  return s;
}

df_storage *df_storage_retain(df_storage *s) {
  s->refs++;
  return s;
}

static void drop_packs(df_body *b) {
  while (b->packs) {
    df_pack *p = b->packs;
    b->packs = p->next;
    df_kept_end(&p->kept);
    df_free(p);
  }
}

void df_storage_release(df_storage *s) {
  if (!s || --s->refs > 0) return;
  drop_packs(s->body);
  s->body->release(s->body->owner);
  df_free(s); /* frees handle and body */
}

void df_storage_touch(df_storage *s) {
  s->body->version++;
  drop_packs(s->body);
}

static bool same(const df_pack_key *a, const df_pack_key *b) {
  return a->kind == b->kind && memcmp(a->fact, b->fact, sizeof a->fact) == 0;
}

df_kept *df_pack_of(df_storage *s, const df_pack_key *key) {
  for (df_pack *p = s->body->packs; p; p = p->next)
    if (same(&p->key, key)) return &p->kept;
  df_pack *p = df_alloc_zeros(sizeof *p);
  if (!p) return NULL;
  p->key = *key;
  p->next = s->body->packs;
  s->body->packs = p;
  return &p->kept;
}

void df_pack_adopted(df_int bytes) { df_kept_adopted(bytes); }
