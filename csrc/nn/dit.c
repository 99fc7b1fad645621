/* The diffusion transformer: patches are tokens, blocks that time and class modulate. */
#include "nn/dit.h"

#include <stdio.h>

#include "nn/block.h"
#include "nn/self_condition.h"
#include "nn/time_embed.h"

#define TINY 1e-6

/* ==== adaLN: what c says to every token of its sample ============================== */

/* B, 1, n width: stretches over tokens. */
static df_tensor *told(df_tape *tape, const df_layer *l, df_tensor *c) {
  df_tensor *m = df_layer_of(tape, l, c);
  if (!m) return NULL;
  return df_view(tape, m, &(df_shape){ 3, { m->shape.size[0], 1, m->shape.size[1] } });
}

static df_tensor *piece(df_tape *tape, df_tensor *m, int which, df_int width) {
  return m ? df_narrow(tape, m, 2, which * width, width) : NULL;
}

static df_tensor *plus_one(df_tape *tape, df_tensor *x) {
  df_tensor *one = df_result(tape, &(df_shape){ 0 });
  if (!one) return NULL;
  *df_tensor_reals(one) = 1;
  return df_add(tape, x, one);
}

/* norm(h) (1 + scale) + shift, of which pieces first and first + 1 are shift and scale */
static df_tensor *modulated(df_tape *tape, df_tensor *h, df_tensor *m, int first) {
  if (!h || !m) return NULL;
  const df_int width = h->shape.size[2];
  df_tensor *scale = plus_one(tape, piece(tape, m, first + 1, width));
  h = df_mul(tape, df_layer_norm(tape, h, NULL, NULL, TINY), scale);
  return df_add(tape, h, piece(tape, m, first, width));
}

/* h + gate y */
static df_tensor *gated(df_tape *tape, df_tensor *h, df_tensor *y, df_tensor *gate) {
  return df_add(tape, h, df_mul(tape, y, gate));
}

/* ==== a block: B, N, width and c: B, width -> B, N, width ========================== */

enum { B_MODULATE, B_ATTENTION, B_ONE, B_DROPOUT, B_TWO };

static df_tensor *block_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_tensor *h = x[0], *m = told(tape, l->part[B_MODULATE].layer, x[1]);
  df_tensor *y = df_layer_of(tape, l->part[B_ATTENTION].layer, modulated(tape, h, m, 0));
  h = gated(tape, h, y, piece(tape, m, 2, l->o.in));
  y = df_layer_of(tape, l->part[B_ONE].layer, modulated(tape, h, m, 3));
  y = df_layer_of(tape, l->part[B_DROPOUT].layer, df_gelu(tape, y));
  y = df_layer_of(tape, l->part[B_TWO].layer, y);
  return gated(tape, h, y, piece(tape, m, 5, l->o.in));
}

static void describe_block(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td, heads %td", l->o.in, l->o.heads);
}

static const df_kind block = { "dit_block", 2, 2, block_forward, describe_block };

static df_layer *new_block(const df_dit_opts *o) {
  const df_int width = o->width, inner = o->ratio * width;
  const df_layer_opts own = { .in = width, .heads = o->heads };
  df_layer *l = df_layer_new(&block, &own);
  if (!l) return NULL;
  df_layer_add(l, df_linear_layer(width, 6 * width, true, true), "modulate");
  if (!l->failed) df_layer_add(l, df_attention_layer(&own), "attention");
  if (!l->failed) df_layer_add(l, df_linear_layer(width, inner, true, false), "one");
  if (!l->failed) df_layer_add(l, df_dropout_layer(1 - o->dropout), "dropout");
  if (!l->failed) df_layer_add(l, df_linear_layer(inner, width, true, false), "two");
  return df_layer_done(l);
}

/* ==== tokens ======================================================================= */

enum { TIME, INP, BLOCKS, MODULATE, OUT };

/* Waves of the places 0..n-1 along dimension `side` of a grid 1, h, w, width/2. */
static df_tensor *waves(df_tape *tape, int side, const df_shape *grid) {
  const df_int n = grid->size[side];
  const df_sinusoid_opts o = { .width = grid->size[3],
                               .max_period = 10000,
                               .sin_first = true };
  df_shape line = { 4, { 1, 1, 1, o.width } };
  df_tensor *place = df_result(tape, &(df_shape){ 1, { n } });
  if (!place) return NULL;
  for (df_int i = 0; i < n; i++) df_tensor_reals(place)[i] = (df_real)i;
  line.size[side] = n;
  df_tensor *y = df_sinusoid(tape, place, &o);
  return y ? df_expand(tape, df_view(tape, y, &line), grid) : NULL;
}

/* 1, h, w, width: computed at every call, for images of any size */
static df_tensor *places(df_tape *tape, df_int h, df_int w, df_int width) {
  const df_shape grid = { 4, { 1, h, w, width / 2 } };
  df_tensor *const both[] = { waves(tape, 2, &grid), waves(tape, 1, &grid) };
  return both[0] && both[1] ? df_cat(tape, both, 2, 3) : NULL;
}

/* B, H, W, C -> B, h w, width */
static df_tensor *tokens_of(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_tensor *h = df_layer_of(tape, l->part[INP].layer, df_seen(tape, l, x));
  if (!h) return NULL;
  const df_int *size = h->shape.size;
  const df_shape flat = { 3, { size[0], size[1] * size[2], size[3] } };
  h = df_add(tape, h, places(tape, size[1], size[2], size[3]));
  return h ? df_reshape(tape, h, &flat) : NULL;
}

/* B, h w, patch patch out -> B, h patch, w patch, out */
static df_tensor *image_of(df_tape *tape, df_tensor *h, const df_layer *l,
                           const df_shape *x) {
  const df_int p = l->o.kernel, C = l->o.out, B = x->size[0];
  const df_shape cut = { 6, { B, x->size[1] / p, x->size[2] / p, p, p, C } };
  const df_shape whole = { 4, { B, x->size[1], x->size[2], C } };
  const int order[] = { 0, 1, 3, 2, 4, 5 };
  if (!h || !(h = df_view(tape, h, &cut))) return NULL;
  h = df_permute(tape, h, order);
  return h ? df_reshape(tape, h, &whole) : NULL;
}

/* ==== the network ================================================================== */

/* Through the blocks; outside of a record no more than one h lives. */
static df_tensor *run_blocks(df_tape *tape, const df_layer *l, df_tensor *const *x,
                             df_tensor *c) {
  const df_layer *blocks = l->part[BLOCKS].layer;
  size_t mark = df_scope_open(tape);
  df_tensor *h = df_layer_hold(tape, mark, tokens_of(tape, l, x), NULL);
  for (int i = 0; i < blocks->parts && h; i++) {
    const df_layer *b = blocks->part[i].layer;
    df_tensor *const both[] = { h, c };
    mark = df_scope_open(tape);
    df_tensor *y = l->o.recompute ? df_layer_recomputed(tape, b, both, 2)
                                  : df_layer_call(tape, b, both, 2);
    h = df_layer_hold(tape, mark, y, h);
  }
  return df_scope_own(tape, h);
}

static df_code check_image(const df_layer *l, const df_tensor *x) {
  const df_int *size = x->shape.size, p = l->o.kernel;
  if (x->shape.ndim != 4 || size[3] != l->o.in)
    return df_fail(DF_MISUSE, "dit: x is %s, but this network takes [B,H,W,%td]",
                   df_tensor_text(x), l->o.in);
  if (size[1] % p == 0 && size[2] % p == 0) return DF_OK;
  return df_fail(DF_MISUSE,
                 "dit: x is %s, but H and W must be multiples of %td, the patch of this "
                 "network",
                 df_tensor_text(x), p);
}

static df_tensor *dit_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  if (check_image(l, x[0]) != DF_OK) return NULL;
  df_tensor *c = df_layer_call(tape, l->part[TIME].layer, x + 1, 2);
  df_tensor *m = told(tape, l->part[MODULATE].layer, c);
  df_tensor *h = m ? run_blocks(tape, l, x, c) : NULL;
  h = df_layer_of(tape, l->part[OUT].layer, modulated(tape, h, m, 0));
  return image_of(tape, h, l, &x[0]->shape);
}

static void describe(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "image channels %td, patch %td, width %td, heads %td, depth %d",
           l->o.in, l->o.kernel, l->o.width, l->o.heads, l->part[BLOCKS].layer->parts);
}

static const df_kind dit = { "dit", 2, 4, dit_forward, describe };

/* ==== from options ================================================================= */

static df_code check_side(const df_dit_opts *o, df_int side) {
  char fit[64];
  if (side > 0 && side % o->patch == 0) return DF_OK;
  df_fitting(fit, sizeof fit, side, o->patch);
  return df_fail(DF_MISUSE,
                 "dit: image [%td,%td] can't be cut into patches of %td: H and W must be "
                 "multiples of %td; %s",
                 o->H, o->W, o->patch, o->patch, fit);
}

static df_code check(const df_dit_opts *o) {
  if (df_at_least_one("dit", "patch", o->patch)
      || df_at_least_one("dit", "depth", o->depth)
      || df_at_least_one("dit", "ratio", o->ratio)
      || df_at_least_one("dit", "image's channels", o->C))
    return DF_MISUSE;
  if (o->width < 4 || o->width % 4 != 0)
    return df_fail(DF_MISUSE,
                   "dit: width must be a multiple of 4, for a sine and a cosine of both "
                   "places of a patch, got %td",
                   o->width);
  return check_side(o, o->H) ? DF_MISUSE : check_side(o, o->W);
}

static df_layer *patch_conv(const df_dit_opts *o) {
  const df_layer_opts conv = { .in = o->self_condition ? 2 * o->C : o->C,
                               .out = o->width,
                               .kernel = o->patch,
                               .conv = { .stride = o->patch },
                               .bias = true };
  return df_conv_layer(&conv);
}

static df_layer *blocks_of(const df_dit_opts *o) {
  df_layer *blocks = df_group_layer();
  for (df_int i = 1; blocks && i <= o->depth && !blocks->failed; i++)
    df_layer_add(blocks, new_block(o), "%td", i);
  return blocks ? df_layer_done(blocks) : NULL;
}

static void fill(df_layer *l, const df_dit_opts *o) {
  const df_int width = o->width, out = o->patch * o->patch * l->o.out;
  df_layer_add(l, df_time_embed_layer(width, width, o->classes), "time");
  if (!l->failed) df_layer_add(l, patch_conv(o), "inp");
  if (!l->failed) df_layer_add(l, blocks_of(o), "blocks");
  if (!l->failed)
    df_layer_add(l, df_linear_layer(width, 2 * width, true, true), "modulate");
  if (!l->failed) df_layer_add(l, df_linear_layer(width, out, true, true), "out");
}

df_layer *df_dit(const df_dit_opts *o) {
  if (check(o) != DF_OK) return NULL;
  const df_layer_opts own = { .in = o->C,
                              .out = o->outputs * o->C,
                              .kernel = o->patch,
                              .heads = o->heads,
                              .width = o->width,
                              .self_condition = o->self_condition,
                              .recompute = o->recompute };
  df_layer *l = df_layer_new(&dit, &own);
  if (!l) return NULL;
  fill(l, o);
  return df_layer_done(l);
}
