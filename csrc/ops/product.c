/* The engine's convolution between tensors, and the cache of packed weights. The key of a
** pack has all facts that its layout depends on. */
#include "ops/product.h"

#include "kernels/kernels.h"
#include "ops/fold.h"
#include "ops/op.h"
#include "ops/operand.h"
#include "ops/sink.h"

/* Differs between layouts of one window: its shape, the stride, the kernel's panels. */
static df_int fingerprint(const df_conv *c) {
  df_int part[] = {
    c->K, c->R, c->S, c->C, c->stride, c->precision == DF_MEDIUM, df_kernel()->panel
  };
  uint64_t mixed = 0;
  for (size_t i = 0; i < sizeof part / sizeof *part; i++)
    mixed = mixed * 1000003u + (uint64_t)part[i];
  return (df_int)mixed;
}

/* Memory for packed weights. Trainable weights change before their next use, so their
** packs belong to the scope. Frozen ones keep theirs until they are written to. */
static void *room_for(df_tape *tape, df_tensor *w, const df_conv *c,
                      const df_packing *how, bool learnt) {
  size_t bytes = how->bytes(c);
  if (!learnt) return df_pack_make(w->storage, how, w->offset, fingerprint(c), bytes);
  df_int reals = (df_int)((bytes + sizeof(df_real) - 1) / sizeof(df_real));
  df_shape shape = { .ndim = 1, .size = { reals } };
  df_tensor *scratch = df_result(tape, &shape);
  return scratch ? df_tensor_reals(scratch) : NULL;
}

static const void *packed(df_tape *tape, df_tensor *w, const df_conv *c,
                          const df_packing *how, bool learnt) {
  if (!df_tensor_is_dense(w)) w = df_dense(tape, w);
  if (!w) return NULL;
  void *found = df_pack_find(w->storage, how, w->offset, fingerprint(c));
  if (found) return found;
  df_tensor *reals = df_dense(tape, w);
  found = reals ? room_for(tape, w, c, how, learnt) : NULL;
  if (found) how->pack(found, df_tensor_reals(reals), c);
  return found;
}

static df_image image_of(const df_tensor *x, const df_conv *c) {
  return df_tensor_image(x, c->B, c->H, c->W, c->C);
}

df_tensor *df_product_forward(df_tape *tape, df_tensor *y, const df_tensor *x,
                              df_tensor *w, const df_tensor *b, const df_tensor *add,
                              const df_conv *c) {
  const df_algorithm *a = df_conv_choose(c, DF_FORWARD, x->form);
  const void *weights = packed(tape, w, c, &a->ahead, df_is_learnt(tape, w));
  if (!weights) return NULL;
  df_image image = image_of(x, c);
  df_code code =
      a->forward(c, df_tensor_reals(y), &image, weights, b ? df_tensor_reals(b) : NULL,
                 add ? df_tensor_reals(add) : NULL);
  return code == DF_OK ? y : NULL;
}

/* ==== backward ======================================================================
**   y[n,p,q,k] = b[k] + add[n,p,q,k] + sum_rsc x[n,h,w,c] w[k,r,s,c]
** with h = p stride + r - top and w = q stride + s - left. Hence
**   db[k]       = sum_npq dy[n,p,q,k]
**   dw[k,r,s,c] = sum_npq dy[n,p,q,k] x[n,h,w,c]
**   dx[n,h,w,c] = sum_k sum_rs dy[n,p,q,k] w[k,r,s,c]    over r, s that give a whole p, q
**   dadd        = dy                                     in conv2d.c
** Linear has one pixel to a row: y = x w^T + b, db = sum(dy), dw = dy^T x, dx = dy w. */

static df_code to_bias(df_node *node, const df_conv *c, const df_tensor *dy) {
  df_shape shape = { .ndim = 1, .size = { c->K } };
  df_sink db;
  if (df_sink_open(node, 2, &db) != DF_OK) return df_error_code();
  if (!db.to) return DF_OK;
  return df_reduce_to(db.to, db.beta, &shape, df_tensor_reals(dy), &dy->shape);
}

static df_code to_weights(df_node *node, const df_conv *c, const df_tensor *dy) {
  df_sink dw;
  if (df_sink_open(node, 1, &dw) != DF_OK) return df_error_code();
  if (!dw.to) return DF_OK;
  df_image x = image_of(node->keep[0], c);
  const df_algorithm *a = df_conv_choose(c, DF_WEIGHT, x.form);
  return a->weight(c, dw.to, dw.beta != 0, &x, df_tensor_reals(dy));
}

static df_code to_data(df_tape *tape, df_node *node, const df_conv *c,
                       const df_tensor *dy) {
  df_sink dx;
  if (df_sink_open(node, 0, &dx) != DF_OK) return df_error_code();
  if (!dx.to) return DF_OK;
  const df_algorithm *a = df_conv_choose(c, DF_DATA, DF_ROWS);
  const void *weights = packed(tape, node->keep[1], c, &a->back, df_wants(node, 1));
  if (!weights) return DF_MEMORY;
  return a->data(c, dx.to, dx.beta != 0, df_tensor_reals(dy), weights);
}

df_code df_product_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const df_conv *c = node->data;
  df_code code = to_bias(node, c, dy);
  if (code == DF_OK) code = to_weights(node, c, dy);
  df_node_let_go(node, 0); /* x, before dx is allocated */
  return code == DF_OK ? to_data(tape, node, c, dy) : code;
}
