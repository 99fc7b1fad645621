/* The table of kinds. A new kind is one row here and one entry in
** lua/diffusion/nn/kinds.lua. */
#include "nn/kinds.h"

#include <stddef.h>
#include <string.h>

#define INT(name, field)                                                                 \
  { name, DF_OPTION_INT, offsetof(df_layer_opts, field) }
#define REAL(name, field)                                                                \
  { name, DF_OPTION_REAL, offsetof(df_layer_opts, field) }
#define FLAG(name, field)                                                                \
  { name, DF_OPTION_FLAG, offsetof(df_layer_opts, field) }

static const df_option options[] = {
  INT("inp", in),
  INT("out", out),
  INT("context", context),
  INT("embed", embed),
  INT("kernel", kernel),
  INT("heads", heads),
  INT("inner", inner),
  INT("memory", memory),
  INT("times", times),
  INT("classes", classes),
  INT("rows", rows),
  INT("patch", patch),
  INT("at", at),
  INT("pieces", pieces),
  INT("base", base),
  INT("act", act),
  INT("up", up),
  INT("down", down),
  INT("before", before),
  INT("after", after),
  INT("taps", taps),
  INT("stride", conv.stride),
  INT("top", conv.top),
  INT("bottom", conv.bottom),
  INT("left", conv.left),
  INT("right", conv.right),
  INT("groups", norm.groups),
  INT("width", sinusoid.width),
  REAL("epsilon", norm.tiny),
  REAL("dropout", dropout),
  REAL("cosine", cosine),
  REAL("factor", factor),
  REAL("plus", plus),
  REAL("offset", offset),
  REAL("scale", scale),
  REAL("within", within),
  REAL("max_period", sinusoid.max_period),
  REAL("shift", sinusoid.shift),
  FLAG("sin_first", sinusoid.sin_first),
  FLAG("single", sinusoid.single),
  FLAG("bias", bias),
  FLAG("qkv_bias", qkv_bias),
  FLAG("fused", fused),
  FLAG("causal", causal),
  FLAG("affine", affine),
  FLAG("standard", standard),
  FLAG("spread", spread),
  FLAG("own", own),
  FLAG("log", log),
  FLAG("reflect", reflect),
  FLAG("fill", fill),
  FLAG("tanh", tanh),
  FLAG("zero", zero),
};

#define PAD " top bottom left right "

const df_kind_row df_kinds[] = {
  { "linear", " inp out bias zero ", df_linear_layer },
  { "conv", " inp out kernel stride bias zero standard" PAD, df_conv_layer },
  { "group_norm", " inp groups epsilon act affine ", df_group_norm_layer },
  { "layer_norm", " inp epsilon affine bias ", df_layer_norm_layer },
  { "rms_norm", " inp epsilon act ", df_rms_norm_layer },
  { "embedding", " inp out within ", df_embedding_layer },
  { "positions", " inp rows within ", df_positions_layer },
  { "sinusoid", " width max_period shift offset sin_first single ", df_sinusoid_layer },
  { "fourier", " width offset scale log sin_first ", df_fourier_layer },
  { "time_rows", " inp out offset ", df_time_rows_layer },
  { "over_time", " offset ", df_over_time_layer },
  { "dropout", " dropout ", df_dropout_layer },
  { "norm_conv", " inp out kernel stride bias zero groups epsilon act affine dropout" PAD,
    df_norm_conv_layer },
  { "res_block", " inp out embed groups epsilon dropout ", df_res_block_layer },
  { "upsample", " inp out times ", df_upsample_layer },
  { "downsample", " inp out" PAD, df_downsample_layer },
  { "enlarge", " times ", df_enlarge_layer },
  { "avg_pool", " times ", df_avg_pool_layer },
  { "fir", " up down before after taps reflect ", df_fir_layer },
  { "attention", " inp context heads inner bias qkv_bias fused causal zero ",
    df_attention_layer },
  { "memory_attention", " inp inner heads memory cosine ", df_memory_attention_layer },
  { "linear_attention", " inp inner heads memory spread ", df_linear_attention_layer },
  { "attention_block", " inp heads groups epsilon ", df_attention_block_layer },
  { "learned_waves", " width offset ", df_learned_waves_layer },
  { "one_hot", " classes factor ", df_one_hot_layer },
  { "time_embed", " inp out classes ", df_time_embed_layer },
  { "labels", " classes dropout ", df_labels_layer },
  { "silu", " ", df_silu_layer },
  { "gelu", " tanh ", df_gelu_layer },
  { "quick_gelu", " ", df_quick_gelu_layer },
  { "geglu", " ", df_geglu_layer },
  { "activation", " act ", df_activation_layer },
  { "scale", " factor plus ", df_scale_layer },
  { "add", " ", df_add_layer },
  { "mul", " ", df_mul_layer },
  { "cat", " fill ", df_cat_layer },
  { "chunk", " pieces at ", df_chunk_layer },
  { "per_token", " ", df_per_token_layer },
  { "modulate", " at ", df_modulate_layer },
  { "gate", " at ", df_gate_layer },
  { "tokens", " ", df_tokens_layer },
  { "pixels", " ", df_pixels_layer },
  { "patchify", " patch ", df_patchify_layer },
  { "unpatchify", " patch ", df_unpatchify_layer },
  { "places", " max_period base ", df_places_layer },
  { "flatten", " ", df_flatten_layer },
  { "unflatten", " pieces ", df_unflatten_layer },
  { "join", " ", df_join_layer },
  { "attend", " heads own ", df_attend_layer },
  { "attention_pool", " inp heads ", df_attention_pool_layer },
  { NULL, NULL, NULL },
};

const df_kind_row *df_layer_kind(const char *name) {
  const df_kind_row *row = df_kinds;
  while (row->name && strcmp(row->name, name) != 0) row++;
  return row->name ? row : NULL;
}

/* Is the name one of the words? */
static bool reads(const char *words, const char *name) {
  const size_t n = strlen(name);
  for (const char *at = words; (at = strstr(at, name)); at++)
    if (at > words && at[-1] == ' ' && at[n] == ' ') return true;
  return false;
}

const df_option *df_layer_option(const df_kind_row *kind, const char *name) {
  if (!*name || !reads(kind->options, name)) return NULL;
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    if (strcmp(options[i].name, name) == 0) return &options[i];
  return NULL;
}
