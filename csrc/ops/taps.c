/* Packed weights looked up under all that their layout depends on, and the engine's
** convolution between tensors. */
#include "ops/taps.h"

#include "engine/engine.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "ops/planes.h"
#include "ops/sink.h"

typedef struct layout {
  df_int (*size)(const df_conv *c);
  void (*pack)(df_real *packed, const df_real *w, const df_conv *c);
} layout;

static const layout forward = { df_conv_packed, df_conv_pack };
static const layout back = { df_conv_back_packed, df_conv_back_pack };

/* Tells apart layouts of one window: its shape, the stride, the kernel's panels. */
static df_int fingerprint(const df_conv *c) {
  df_int part[] = { c->K, c->R, c->S, c->C, c->stride, c->round, df_kernel()->panel };
  uint64_t mixed = 0;
  for (size_t i = 0; i < sizeof part / sizeof *part; i++)
    mixed = mixed * 1000003u + (uint64_t)part[i];
  return (df_int)mixed;
}

/* Room for packed weights. Those that are learnt change before their next use, so theirs
** is the scope's; others keep it until they are written to. */
static df_real *room_for(df_tape *tape, df_tensor *w, const df_conv *c, const layout *how,
                         bool learnt) {
  df_shape shape = { .ndim = 1, .size = { how->size(c) } };
  if (!learnt)
    return df_pack_make(w->storage, how, w->offset, fingerprint(c),
                        (size_t)shape.size[0] * sizeof(df_real));
  df_tensor *scratch = df_result(tape, &shape);
  return scratch ? df_tensor_reals(scratch) : NULL;
}

static const df_real *packed(df_tape *tape, df_tensor *w, const df_conv *c,
                             const layout *how, bool learnt) {
  if (!df_tensor_is_dense(w)) w = df_dense(tape, w);
  if (!w) return NULL;
  df_real *found = df_pack_find(w->storage, how, w->offset, fingerprint(c));
  if (found) return found;
  df_tensor *reals = df_dense(tape, w);
  found = reals ? room_for(tape, w, c, how, learnt) : NULL;
  if (found) how->pack(found, df_tensor_reals(reals), c);
  return found;
}

static df_image image_of(const df_tensor *x, const df_conv *c) {
  return df_planes_image(x, c->B, c->H, c->W, c->C);
}

df_tensor *df_taps_forward(df_tape *tape, df_tensor *y, const df_tensor *x, df_tensor *w,
                           const df_tensor *b, const df_tensor *add, const df_conv *c) {
  const df_real *weights = packed(tape, w, c, &forward, df_tracked(tape, 1, &w));
  if (!weights) return NULL;
  df_image image = image_of(x, c);
  df_code code =
      df_conv_forward(c, df_tensor_reals(y), &image, weights,
                      b ? df_tensor_reals(b) : NULL, add ? df_tensor_reals(add) : NULL);
  return code == DF_OK ? y : NULL;
}

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
  return df_conv_weight(c, dw.to, dw.beta != 0, &x, df_tensor_reals(dy));
}

static df_code to_data(df_tape *tape, df_node *node, const df_conv *c,
                       const df_tensor *dy) {
  df_sink dx;
  if (df_sink_open(node, 0, &dx) != DF_OK) return df_error_code();
  if (!dx.to) return DF_OK;
  const df_real *weights = packed(tape, node->keep[1], c, &back, df_wants(node, 1));
  if (!weights) return DF_MEMORY;
  return df_conv_data(c, dx.to, dx.beta != 0, df_tensor_reals(dy), weights);
}

df_code df_taps_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const df_conv *c = node->data;
  df_code code = to_bias(node, c, dy);
  if (code == DF_OK) code = to_weights(node, c, dy);
  return code == DF_OK ? to_data(tape, node, c, dy) : code;
}
