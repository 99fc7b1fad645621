/* Moments that are cut over ranks. The cut is between pieces, so a piece's update has the
** same bits wherever it is done. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "nn/optim.h"

df_int df_piece_at(const df_optim *o, const df_piece *q) {
  return o->slice[q->slice].at + q->first;
}

/* The start of rank r's part: the first piece from its share on. */
static df_int bound(const df_optim *o, int r) {
  const df_int share = (df_int)((double)o->count / o->link->size * r);
  for (int i = 0; i < o->pieces; i++)
    if (df_piece_at(o, &o->piece[i]) >= share) return df_piece_at(o, &o->piece[i]);
  return o->count;
}

static df_int end_of(const df_optim *o, int r) {
  return r + 1 < o->link->size ? bound(o, r + 1) : o->count;
}

bool df_piece_is_own(const df_optim *o, const df_piece *q) {
  if (!o->link) return true;
  const df_int at = df_piece_at(o, q);
  return at >= o->own && at < o->own_end;
}

/* ==== moments ====================================================================== */

/* This rank's part of a whole vector. */
static df_storage *cut(const df_optim *o, const df_storage *s) {
  const size_t bytes = (size_t)(o->own_end - o->own) * sizeof(df_real);
  df_storage *out = df_storage_new(bytes);
  if (out) memcpy(out->body->data, (const df_real *)s->body->data + o->own, bytes);
  return out;
}

static df_code replace(df_optim *o, df_storage *m, df_storage *v, bool parted) {
  if (!m || !v) {
    df_storage_release(m);
    df_storage_release(v);
    return df_error_code();
  }
  df_storage_release(o->m);
  df_storage_release(o->v);
  o->m = m, o->v = v, o->parted = parted;
  return DF_OK;
}

df_code df_optim_part(df_optim *o) {
  if (!o->link || o->parted) return DF_OK;
  return replace(o, cut(o, o->m), cut(o, o->v), true);
}

df_code df_optim_shard(df_optim *o, const df_link *link) {
  o->link = link;
  o->own = bound(o, link->rank), o->own_end = end_of(o, link->rank);
  return df_optim_part(o);
}

/* ==== exchanges ==================================================================== */

static df_code fault(const df_optim *o) {
  return df_fail(DF_WORLD, "adamw: %s", o->link->fault());
}

/* All ranks' parts of a vector of `count` reals. */
static df_code share(const df_optim *o, const void *part, void *all) {
  df_int *bytes = malloc((size_t)o->link->size * sizeof *bytes);
  if (!bytes) return df_fail(DF_MEMORY, "not enough memory for sizes of parts");
  for (int r = 0; r < o->link->size; r++)
    bytes[r] = (end_of(o, r) - bound(o, r)) * (df_int)sizeof(df_real);
  const bool fine = o->link->share(part, bytes, all);
  free(bytes);
  return fine ? DF_OK : fault(o);
}

static df_storage *gathered(const df_optim *o, const df_storage *part) {
  df_storage *all = df_storage_new((size_t)o->count * sizeof(df_real));
  if (all && share(o, part->body->data, all->body->data) == DF_OK) return all;
  df_storage_release(all);
  return NULL;
}

df_code df_optim_whole(df_optim *o) {
  if (!o->parted) return DF_OK;
  df_storage *m = gathered(o, o->m), *v = gathered(o, o->v);
  return replace(o, m, v, false);
}

/* Copies the values of own pieces into a vector, or those of others out of it. */
static void copy_values(const df_optim *o, bool own, df_real *vector) {
  for (int i = 0; i < o->pieces; i++) {
    const df_piece *q = &o->piece[i];
    const df_param *p = o->slice[q->slice].param;
    if (df_piece_is_own(o, q) != own) continue;
    df_real *value = (df_real *)p->home->values->body->data + p->at + q->first;
    df_real *place = vector + df_piece_at(o, q);
    memcpy(own ? place : value, own ? value : place, (size_t)q->n * sizeof *value);
  }
}

df_code df_optim_share_values(df_optim *o) {
  df_real *all = df_alloc((size_t)o->count * sizeof *all);
  if (!all) return DF_MEMORY;
  copy_values(o, true, all);
  df_code code = share(o, all + o->own, all);
  if (code == DF_OK) copy_values(o, false, all);
  df_free(all);
  return code;
}
