/* The MLP: blocks that are told the time by an addition before their first product. */
#include "nn/mlp.h"

#include <stdio.h>

#include "nn/self_condition.h"
#include "nn/time_embed.h"

/* ==== a block: B, hidden -> B, hidden ============================================== */

enum { NORM, ONE, TWO };

static df_tensor *block_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_tensor *h = df_layer_of(tape, l->part[NORM].layer, x[0]);
  h = df_layer_of(tape, l->part[ONE].layer, df_add(tape, h, x[1]));
  h = df_layer_of(tape, l->part[TWO].layer, df_silu(tape, h));
  return df_add(tape, x[0], h);
}

static df_tensor *block_call(df_tape *tape, const df_layer *l, df_tensor *const *x,
                             bool recompute) {
  return recompute ? df_layer_recomputed(tape, l, x, 2) : df_layer_call(tape, l, x, 2);
}

static void describe_block(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td", l->o.in);
}

static const df_kind block = { "mlp_block", 2, 2, block_forward, describe_block };

static df_layer *new_block(df_int width) {
  df_layer *l = df_layer_new(&block, &(df_layer_opts){ .in = width });
  if (!l) return NULL;
  df_layer_add(l, df_layer_norm_layer(width, 1e-5), "norm");
  df_layer_add(l, df_linear_layer(width, width, true, false), "one");
  df_layer_add(l, df_linear_layer(width, width, true, true), "two");
  return df_layer_done(l);
}

/* ==== the network ================================================================== */

enum { TIME, INP, BLOCKS, LAST_NORM, OUT, GATE };

static df_code check_point(const df_layer *l, const df_tensor *x) {
  if (x->shape.ndim == 2 && x->shape.size[1] == l->o.in) return DF_OK;
  return df_fail(DF_MISUSE, "mlp: x is %s, but this network takes [B,%td]",
                 df_tensor_text(x), l->o.in);
}

/* The point beside itself as often as it comes out. */
static df_tensor *repeated(df_tape *tape, df_tensor *x, df_int outputs) {
  df_tensor *const twice[] = { x, x };
  return outputs == 2 ? df_cat(tape, twice, 2, 1) : x;
}

static df_tensor *mlp_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  const df_layer *blocks = l->part[BLOCKS].layer;
  if (check_point(l, x[0]) != DF_OK) return NULL;
  df_tensor *e = df_layer_call(tape, l->part[TIME].layer, x + 1, 2);
  df_tensor *h = df_layer_of(tape, l->part[INP].layer, df_seen(tape, l, x));
  for (int i = 0; i < blocks->parts && e; i++)
    h = block_call(tape, blocks->part[i].layer, (df_tensor *const[]){ h, e },
                   l->o.recompute);
  if (!e) return NULL;
  h = df_layer_of(tape, l->part[LAST_NORM].layer, h);
  h = df_layer_of(tape, l->part[OUT].layer, h);
  df_tensor *own = repeated(tape, x[0], l->o.out / l->o.in);
  return df_add(tape, h, df_mul(tape, own, df_layer_of(tape, l->part[GATE].layer, e)));
}

static void describe_mlp(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "dim %td, hidden %td, depth %d", l->o.in, l->o.width,
           l->part[BLOCKS].layer->parts);
}

static const df_kind mlp = { "mlp", 2, 4, mlp_forward, describe_mlp };

static df_layer *blocks_of(const df_mlp_opts *o) {
  df_layer *blocks = df_group_layer();
  for (df_int i = 1; blocks && i <= o->depth && !blocks->failed; i++)
    df_layer_add(blocks, new_block(o->hidden), "%td", i);
  return blocks ? df_layer_done(blocks) : NULL;
}

df_layer *df_mlp(const df_mlp_opts *o) {
  if (df_at_least_one("mlp", "dim", o->dim) || df_at_least_one("mlp", "depth", o->depth))
    return NULL;
  df_int in = o->self_condition ? 2 * o->dim : o->dim, out = o->outputs * o->dim;
  const df_layer_opts own = { .in = o->dim,
                              .out = out,
                              .width = o->hidden,
                              .classes = o->classes,
                              .self_condition = o->self_condition,
                              .recompute = o->recompute };
  df_layer *l = df_layer_new(&mlp, &own);
  if (!l) return NULL;
  df_layer_add(l, df_time_embed_layer(o->hidden, o->hidden, o->classes), "time");
  if (!l->failed) df_layer_add(l, df_linear_layer(in, o->hidden, true, false), "inp");
  if (!l->failed) df_layer_add(l, blocks_of(o), "blocks");
  if (!l->failed) df_layer_add(l, df_layer_norm_layer(o->hidden, 1e-5), "norm");
  if (!l->failed) df_layer_add(l, df_linear_layer(o->hidden, out, true, true), "out");
  if (!l->failed) df_layer_add(l, df_linear_layer(o->hidden, out, true, true), "gate");
  return df_layer_done(l);
}
