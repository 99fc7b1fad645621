/* Storage, with the packed operands that are cached in it. */
#include "tensor/storage.h"

#include <string.h>

#include "base/alloc.h"

typedef struct whole { /* a handle and its body in one block */
  df_storage handle;
  df_body body;
} whole;

const df_memory_kind df_memory_own = { .release = df_free };

df_storage *df_storage_around(void *data, size_t bytes, const df_memory_kind *kind,
                              void *owner) {
  whole *w = df_alloc(sizeof *w);
  if (!w) return NULL;
  w->body = (df_body){ .data = data, .bytes = bytes, .kind = kind, .owner = owner };
  w->handle = (df_storage){ .refs = 1, .body = &w->body };
  return &w->handle;
}

df_storage *df_storage_new(size_t bytes) {
  void *data = df_alloc(bytes);
  if (!data) return NULL;
  df_storage *s = df_storage_around(data, bytes, &df_memory_own, data);
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
  s->body->kind->release(s->body->owner);
  df_free(s); /* frees handle and body */
}

void df_storage_touch(df_storage *s) {
  df_body *b = s->body;
  b->version++;
  if (b->kind->written) b->kind->written(b->owner);
  drop_packs(b);
}

static bool same(const df_pack_key *a, const df_pack_key *b) {
  return a->kind == b->kind && memcmp(a->fact, b->fact, sizeof a->fact) == 0;
}

df_pack *df_pack_of(df_storage *s, const df_pack_key *key, df_extent source) {
  for (df_pack *p = s->body->packs; p; p = p->next)
    if (same(&p->key, key)) return p;
  df_pack *p = df_alloc_zeros(sizeof *p);
  if (!p) return NULL;
  p->key = *key;
  p->source = source;
  p->next = s->body->packs;
  s->body->packs = p;
  return p;
}

static size_t pages(const df_body *b, df_extent r, bool let_go) {
  if (!b->kind->pages) return 0;
  return b->kind->pages(b->owner, (char *)b->data + r.at, r.bytes, let_go);
}

static bool meet(df_extent a, df_extent b) {
  return a.at < b.at + b.bytes && b.at < a.at + a.bytes;
}

/* Pages for which another pack stands are gone already. */
void *df_pack_make(df_storage *s, df_pack *p, size_t bytes) {
  size_t instead = pages(s->body, p->source, false);
  for (df_pack *other = s->body->packs; other; other = other->next)
    if (meet(other->source, p->source) && df_kept_stands_for(&other->kept) > 0)
      instead = 0;
  return df_kept_make(&p->kept, bytes, instead);
}

void df_pack_is_made(df_storage *s, const df_pack *p) { pages(s->body, p->source, true); }

void df_pack_adopted(df_int bytes) { df_kept_adopted(bytes); }
