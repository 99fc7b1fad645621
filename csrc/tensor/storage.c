/* Storage, with the packed operands that are cached in it. */
#include "tensor/storage.h"

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
    df_free(p->data);
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

void *df_pack_find(df_storage *s, const void *kind, df_int offset, df_int extra) {
  for (df_pack *p = s->body->packs; p; p = p->next)
    if (p->kind == kind && p->offset == offset && p->extra == extra) return p->data;
  return NULL;
}

void *df_pack_make(df_storage *s, const void *kind, df_int offset, df_int extra,
                   size_t bytes) {
  void *data = df_alloc(bytes);
  df_pack *p = data ? df_alloc(sizeof *p) : NULL;
  if (!p) {
    df_free(data);
    return NULL;
  }
  *p = (df_pack){ s->body->packs, kind, offset, extra, data };
  s->body->packs = p;
  return data;
}
