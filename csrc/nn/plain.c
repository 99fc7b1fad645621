/* Layers without parameters, of which networks written as lists are built. */
#include <stdio.h>

#include "nn/layers.h"

/* ==== elementwise ================================================================== */

static df_tensor *silu_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  (void)l;
  return df_silu(tape, x[0]);
}

static df_tensor *gelu_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  return l->o.tanh ? df_gelu_tanh(tape, x[0]) : df_gelu(tape, x[0]);
}

static df_tensor *quick_gelu_forward(df_tape *tape, const df_layer *l,
                                     df_tensor *const *x) {
  (void)l;
  return df_quick_gelu(tape, x[0]);
}

static df_tensor *activation_forward(df_tape *tape, const df_layer *l,
                                     df_tensor *const *x) {
  return df_activation(tape, (df_act)l->o.act, x[0]);
}

/* c x + d */
static df_tensor *scale_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_tensor *y = l->o.factor == 1 ? x[0] : df_scale(tape, x[0], l->o.factor);
  return l->o.plus == 0 ? y : df_plus(tape, y, l->o.plus);
}

static void describe_act(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%s", df_act_names[l->o.act]);
}

/* a gelu(b) of the halves a, b: ..., 2 C -> ..., C */
static df_tensor *geglu_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  (void)l;
  return df_geglu(tape, x[0]);
}

/* x + y; x itself if y is NULL */
static df_tensor *add_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  (void)l;
  return x[1] ? df_add(tape, x[0], x[1]) : x[0];
}

static df_tensor *mul_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  (void)l;
  return df_mul(tape, x[0], x[1]);
}

/* ==== cat: along the last dimension ================================================ */

static df_tensor *beside_zeros(df_tape *tape, df_tensor *x) {
  const int last = x->shape.ndim - 1;
  df_int before[DF_DIMS] = { 0 }, after[DF_DIMS] = { 0 };
  after[last] = x->shape.size[last];
  return df_pad(tape, x, before, after, NULL);
}

static df_tensor *cat_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_tensor *given[DF_INPUTS];
  int n = 0;
  for (int i = 0; i < DF_INPUTS; i++)
    if (x[i]) given[n++] = x[i];
  if (n == 1 && l->o.fill) return beside_zeros(tape, x[0]);
  return n == 1 ? x[0] : df_cat(tape, given, n, x[0]->shape.ndim - 1);
}

/* ==== chunk: one of equal pieces of the last dimension ============================= */

static df_tensor *chunk_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  const int last = x[0]->shape.ndim - 1;
  const df_int width = last < 0 ? 0 : x[0]->shape.size[last], n = l->o.pieces;
  if (width == 0 || width % n != 0)
    return df_fail_null(DF_MISUSE,
                        "chunk: the last dimension of %s is no multiple of %td",
                        df_tensor_text(x[0]), n);
  return df_narrow(tape, x[0], last, l->o.at * (width / n), width / n);
}

/* ==== adaLN (Peebles & Xie 2023, section 3.2): pieces of m act on the tokens of h === */

static df_code check_tokens(const char *kind, const df_tensor *h) {
  if (h->shape.ndim == 3) return DF_OK;
  return df_fail(DF_MISUSE, "%s: tokens are [B,N,C], got %s", kind, df_tensor_text(h));
}

/* B, C -> B, 1, C: broadcasts over tokens */
static df_tensor *per_token_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  const df_int *size = x[0]->shape.size;
  (void)l;
  if (x[0]->shape.ndim != 2)
    return df_fail_null(DF_MISUSE, "per_token: a row a sample, [B,C], expected, got %s",
                        df_tensor_text(x[0]));
  return df_view(tape, x[0], &(df_shape){ 3, { size[0], 1, size[1] } });
}

/* Piece `which` of m (B, 1, n C), as wide as h (B, N, C). */
static df_tensor *piece(df_tape *tape, const char *kind, df_tensor *h, df_tensor *m,
                        df_int which) {
  if (check_tokens(kind, h) != DF_OK || check_tokens(kind, m) != DF_OK) return NULL;
  const df_int C = h->shape.size[2], width = m->shape.size[2];
  if (which < 0 || (which + 1) * C > width)
    return df_fail_null(DF_MISUSE,
                        "%s: piece %td of width %td is outside of the modulation %s",
                        kind, which, C, df_tensor_text(m));
  return df_narrow(tape, m, 2, which * C, C);
}

/* h (1 + scale) + shift; shift is piece `at` of m, scale the next */
static df_tensor *modulate_forward(df_tape *tape, const df_layer *l,
                                   df_tensor *const *x) {
  df_tensor *scale = df_plus(tape, piece(tape, "modulate", x[0], x[1], l->o.at + 1), 1);
  df_tensor *h = df_mul(tape, x[0], scale);
  return h ? df_add(tape, h, piece(tape, "modulate", x[0], x[1], l->o.at)) : NULL;
}

/* h + g y; g is piece `at` of m */
static df_tensor *gate_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_tensor *g = piece(tape, "gate", x[1], x[2], l->o.at);
  return df_add(tape, x[0], df_mul(tape, x[1], g));
}

/* ==== tokens and pixels ============================================================ */

static df_code check_pixels(const char *kind, const df_tensor *x) {
  if (x->shape.ndim == 4) return DF_OK;
  return df_fail(DF_MISUSE, "%s: pixels are [B,H,W,C], got %s", kind, df_tensor_text(x));
}

/* B, H, W, C -> B, H W, C */
static df_tensor *tokens_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  const df_int *size = x[0]->shape.size;
  (void)l;
  if (check_pixels("tokens", x[0]) != DF_OK) return NULL;
  return df_reshape(tape, x[0],
                    &(df_shape){ 3, { size[0], size[1] * size[2], size[3] } });
}

static df_code check_count(const char *kind, const df_tensor *h, df_int rows,
                           df_int columns) {
  if (h->shape.size[1] == rows * columns) return DF_OK;
  return df_fail(DF_MISUSE, "%s: %s has %td tokens, but %td x %td places are to fill",
                 kind, df_tensor_text(h), h->shape.size[1], rows, columns);
}

/* h: B, H W, C   like: B, H, W, any  ->  B, H, W, C */
static df_tensor *pixels_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  const df_int *h = x[0]->shape.size, *like = x[1]->shape.size;
  (void)l;
  if (check_tokens("pixels", x[0]) || check_pixels("pixels", x[1])
      || check_count("pixels", x[0], like[1], like[2]))
    return NULL;
  return df_reshape(tape, x[0], &(df_shape){ 4, { h[0], like[1], like[2], h[2] } });
}

static df_code check_patch(const char *kind, const df_tensor *x, df_int p) {
  if (check_pixels(kind, x) != DF_OK) return DF_MISUSE;
  if (x->shape.size[1] % p == 0 && x->shape.size[2] % p == 0) return DF_OK;
  return df_fail(DF_MISUSE, "%s: %s: H and W must be multiples of the patch, %td", kind,
                 df_tensor_text(x), p);
}

/* B, H, W, C -> B, (H/p)(W/p), p p C */
static df_tensor *patchify_forward(df_tape *tape, const df_layer *l,
                                   df_tensor *const *x) {
  const df_int *size = x[0]->shape.size, p = l->o.patch;
  if (check_patch("patchify", x[0], p) != DF_OK) return NULL;
  const df_int h = size[1] / p, w = size[2] / p;
  const df_shape cut = { 6, { size[0], h, p, w, p, size[3] } };
  const df_shape flat = { 3, { size[0], h * w, p * p * size[3] } };
  const int order[] = { 0, 1, 3, 2, 4, 5 };
  df_tensor *y = df_reshape(tape, x[0], &cut);
  y = y ? df_permute(tape, y, order) : NULL;
  return y ? df_reshape(tape, y, &flat) : NULL;
}

/* h: B, (H/p)(W/p), p p C   like: B, H, W, any  ->  B, H, W, C */
static df_tensor *unpatchify_forward(df_tape *tape, const df_layer *l,
                                     df_tensor *const *x) {
  const df_int p = l->o.patch, *h = x[0]->shape.size, *like = x[1]->shape.size;
  if (check_tokens("unpatchify", x[0]) || check_patch("unpatchify", x[1], p)
      || check_count("unpatchify", x[0], like[1] / p, like[2] / p))
    return NULL;
  if (h[2] % (p * p) != 0)
    return df_fail_null(DF_MISUSE,
                        "unpatchify: the width of %s is no multiple of %td x %td",
                        df_tensor_text(x[0]), p, p);
  const df_int C = h[2] / (p * p);
  const df_shape cut = { 6, { h[0], like[1] / p, like[2] / p, p, p, C } };
  const df_shape whole = { 4, { h[0], like[1], like[2], C } };
  const int order[] = { 0, 1, 3, 2, 4, 5 };
  df_tensor *y = df_view(tape, x[0], &cut);
  y = y ? df_permute(tape, y, order) : NULL;
  return y ? df_reshape(tape, y, &whole) : NULL;
}

/* ==== places: fixed position embeddings of He et al. 2022 ========================== */

/* Waves of the places 0..n-1 along dimension `side` of a grid 1, h, w, width/2. With a
** base, the places are scaled by base / n. */
static df_tensor *waves(df_tape *tape, int side, const df_shape *grid,
                        const df_layer_opts *given) {
  const df_int n = grid->size[side];
  const double step = given->base > 0 ? (double)given->base / (double)n : 1;
  const df_sinusoid_opts o = { .width = grid->size[3],
                               .max_period = given->sinusoid.max_period,
                               .sin_first = true };
  df_shape line = { 4, { 1, 1, 1, o.width } };
  df_tensor *place = df_result(tape, &(df_shape){ 1, { n } });
  if (!place) return NULL;
  for (df_int i = 0; i < n; i++) df_tensor_reals(place)[i] = (df_real)((double)i * step);
  line.size[side] = n;
  df_tensor *y = df_sinusoid(tape, place, &o);
  return y ? df_expand(tape, df_view(tape, y, &line), grid) : NULL;
}

/* like: any, h, w, width  ->  1, h, w, width: at row y, column x [sin x w_k, cos x w_k,
** sin y w_k, cos y w_k], w_k = max_period^(-4k/width), k < width/4 */
static df_tensor *places_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  const df_int *size = x[0]->shape.size;
  if (check_pixels("places", x[0]) != DF_OK) return NULL;
  if (size[3] % 4 != 0)
    return df_fail_null(DF_MISUSE, "places: the width of %s is no multiple of 4",
                        df_tensor_text(x[0]));
  const df_shape grid = { 4, { 1, size[1], size[2], size[3] / 2 } };
  df_tensor *const both[] = { waves(tape, 2, &grid, &l->o),
                              waves(tape, 1, &grid, &l->o) };
  return both[0] && both[1] ? df_cat(tape, both, 2, 3) : NULL;
}

/* ==== the kinds ==================================================================== */

static const df_kind silu = { .name = "silu", 1, 1, silu_forward };
static const df_kind gelu = { .name = "gelu", 1, 1, gelu_forward };
static const df_kind quick_gelu = { .name = "quick_gelu", 1, 1, quick_gelu_forward };
static const df_kind activation = {
  .name = "activation", 1, 1, activation_forward, describe_act
};
static const df_kind scale = { .name = "scale", 1, 1, scale_forward };
static const df_kind geglu = { .name = "geglu", 1, 1, geglu_forward };
static const df_kind add = { .name = "add", 1, 2, add_forward };
static const df_kind mul = { .name = "mul", 2, 2, mul_forward };
static const df_kind cat = { .name = "cat", 1, DF_INPUTS, cat_forward };
static const df_kind chunk = { .name = "chunk", 1, 1, chunk_forward };
static const df_kind per_token = { .name = "per_token", 1, 1, per_token_forward };
static const df_kind modulate = { .name = "modulate", 2, 2, modulate_forward };
static const df_kind gate = { .name = "gate", 3, 3, gate_forward };
static const df_kind tokens = { .name = "tokens", 1, 1, tokens_forward };
static const df_kind pixels = { .name = "pixels", 2, 2, pixels_forward };
static const df_kind patchify = { .name = "patchify", 1, 1, patchify_forward };
static const df_kind unpatchify = { .name = "unpatchify", 2, 2, unpatchify_forward };
static const df_kind places = { .name = "places", 1, 1, places_forward };

df_layer *df_silu_layer(const df_layer_opts *o) { return df_layer_new(&silu, o); }
df_layer *df_gelu_layer(const df_layer_opts *o) { return df_layer_new(&gelu, o); }
df_layer *df_geglu_layer(const df_layer_opts *o) { return df_layer_new(&geglu, o); }
bool df_is_geglu(const df_layer *l) { return l->kind == &geglu; }

df_layer *df_quick_gelu_layer(const df_layer_opts *o) {
  return df_layer_new(&quick_gelu, o);
}

df_layer *df_scale_layer(const df_layer_opts *o) { return df_layer_new(&scale, o); }

df_layer *df_activation_layer(const df_layer_opts *o) {
  return df_check_act(o) == DF_OK ? df_layer_new(&activation, o) : NULL;
}

df_layer *df_add_layer(const df_layer_opts *o) { return df_layer_new(&add, o); }
df_layer *df_mul_layer(const df_layer_opts *o) { return df_layer_new(&mul, o); }
df_layer *df_cat_layer(const df_layer_opts *o) { return df_layer_new(&cat, o); }
df_layer *df_gate_layer(const df_layer_opts *o) { return df_layer_new(&gate, o); }
df_layer *df_tokens_layer(const df_layer_opts *o) { return df_layer_new(&tokens, o); }
df_layer *df_pixels_layer(const df_layer_opts *o) { return df_layer_new(&pixels, o); }
df_layer *df_places_layer(const df_layer_opts *o) { return df_layer_new(&places, o); }

df_layer *df_per_token_layer(const df_layer_opts *o) {
  return df_layer_new(&per_token, o);
}

df_layer *df_modulate_layer(const df_layer_opts *o) { return df_layer_new(&modulate, o); }

df_layer *df_chunk_layer(const df_layer_opts *o) {
  if (df_at_least_one("chunk", "pieces", o->pieces)) return NULL;
  if (o->at < 0 || o->at >= o->pieces)
    return df_fail_null(DF_MISUSE, "chunk: there is no piece %td of %td", o->at + 1,
                        o->pieces);
  return df_layer_new(&chunk, o);
}

df_layer *df_patchify_layer(const df_layer_opts *o) {
  if (df_at_least_one("patchify", "patch", o->patch)) return NULL;
  return df_layer_new(&patchify, o);
}

df_layer *df_unpatchify_layer(const df_layer_opts *o) {
  if (df_at_least_one("unpatchify", "patch", o->patch)) return NULL;
  return df_layer_new(&unpatchify, o);
}
