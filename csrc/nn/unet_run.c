/* Going through a plan. Each step runs in a scope of its own and the run itself holds only
** h and what is kept for the way up, so that outside of a record nothing else lives. */
#include "base/alloc.h"
#include "nn/self_condition.h"
#include "nn/unet.h"

typedef struct run {
  df_tape *tape;
  df_tensor *e; /* the embedding of t and class: B, width; of the scope outside */
  df_tensor *h;
  df_tensor **kept;
  int n_kept;
} run;

/* h becomes y, and what else was made since the mark goes. False: y is NULL. */
static bool advance(run *r, size_t mark, df_tensor *y) {
  r->h = df_layer_hold(r->tape, mark, y, r->h);
  return y != NULL;
}

static bool join_kept(run *r) {
  df_tensor *skip = r->kept[--r->n_kept];
  df_tensor *const both[] = { r->h, skip };
  size_t mark = df_scope_open(r->tape);
  bool fine = advance(r, mark, df_cat(r->tape, both, 2, 3));
  df_tensor_release(skip);
  return fine;
}

static bool take(run *r, const df_unet_step *step) {
  if (step->pop && !join_kept(r)) return false;
  df_tensor *const x[] = { r->h, r->e };
  size_t mark = df_scope_open(r->tape);
  int n = step->embeds ? 2 : 1;
  df_tensor *y = step->recompute ? df_layer_recomputed(r->tape, step->layer, x, n)
                                 : df_layer_call(r->tape, step->layer, x, n);
  if (!advance(r, mark, y)) return false;
  if (step->push) r->kept[r->n_kept++] = df_tensor_retain(y);
  return true;
}

static df_code check_image(const df_unet_plan *plan, const df_tensor *x) {
  const df_int *size = x->shape.size;
  if (x->shape.ndim != 4 || size[3] != plan->C)
    return df_fail(DF_MISUSE, "unet: x is %s, but this network takes [B,H,W,%td]",
                   df_tensor_text(x), plan->C);
  if (size[1] % plan->factor != 0 || size[2] % plan->factor != 0)
    return df_fail(DF_MISUSE,
                   "unet: x is %s, but H and W must be multiples of %td for this network",
                   df_tensor_text(x), plan->factor);
  return DF_OK;
}

df_tensor *df_unet_run(df_tape *tape, const df_layer *unet, df_tensor *const *x) {
  const df_unet_plan *plan = unet->o.network;
  if (check_image(plan, x[0]) != DF_OK) return NULL;
  run r = { .tape = tape, .e = df_layer_call(tape, plan->time, x + 1, 2) };
  if (!r.e) return NULL;
  r.kept = df_alloc(((size_t)plan->most_kept + 1) * sizeof(df_tensor *));
  if (!r.kept) return NULL;
  r.h = df_tensor_retain(df_seen(tape, unet, x));
  bool fine = r.h != NULL;
  for (int i = 0; i < plan->steps && fine; i++) fine = take(&r, &plan->step[i]);
  while (r.n_kept > 0) df_tensor_release(r.kept[--r.n_kept]);
  df_free(r.kept);
  if (!fine) df_tensor_release(r.h);
  return fine ? df_scope_own(tape, r.h) : NULL;
}
