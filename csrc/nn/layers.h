/* Layers: functions of tensors that own parameters. All are made and called in one way,
** so networks written as lists (net.h) and modules composed in Lua use the same ones. A
** layer may have parts, which are layers with a name. */
#ifndef df_layers_h
#define df_layers_h

#include "nn/params.h"
#include "ops/op.h"

typedef struct df_layer df_layer;

#define DF_INPUTS DF_STRETCH_INPUTS /* at most, per layer */

typedef struct df_kind {
  const char *name; /* "conv" */
  int least, most;  /* inputs; the ones after `least` may be NULL */
  df_tensor *(*forward)(df_tape *tape, const df_layer *layer, df_tensor *const *x);
  /* writes the text between the brackets of `conv(1 -> 32, kernel 3)`; may be NULL */
  void (*describe)(const df_layer *layer, char *text, size_t size);
  void (*release)(
      df_layer *layer); /* frees what the kind itself allocated; may be NULL */
  bool whole;           /* its first input may be integers */
  bool adapts;          /* its forward adds its adapters: see adapter.h */
  /* its forward and the gated unit behind it in one; may be NULL */
  df_tensor *(*gated)(df_tape *tape, const df_layer *layer, df_tensor *x);
} df_kind;

/* The options of all kinds. kinds.c lists the options that each kind reads. Defaults and
** ranges are declared in lua/diffusion/nn/kinds.lua. */
typedef struct df_layer_opts {
  df_int in, out;            /* channels or widths */
  df_int context;            /* attention: width of the context; 0: self-attention */
  df_int embed;              /* res_block: width of the embedding that it adds; 0: none */
  df_int kernel;             /* height and width */
  df_int heads;              /* attention */
  df_int inner;              /* attention: width of q, k and v; 0: in */
  df_int memory;             /* attention with memory: learned keys and values */
  df_int times;              /* upsample, enlarge, avg_pool: the factor */
  df_int classes;            /* time_embed: number of classes; 0: none */
  df_int rows;               /* positions: rows of the table */
  df_int patch;              /* patchify, unpatchify: height and width of a patch */
  df_int at;                 /* modulate, gate, chunk: the (first) piece, from 0 */
  df_int pieces;             /* chunk: their number */
  df_int base;               /* places: 0, or how many rows and columns they stand for */
  df_int act;                /* a df_act */
  df_int up, down;           /* fir: factors */
  df_int before, after;      /* fir: zeros around, in pixels of the enlarged image */
  df_int taps;               /* fir: length of its filter */
  double dropout;            /* probability of an element to be set to 0 */
  double cosine;             /* memory_attention: factor of normalised q and k; 0: none */
  double factor, plus;       /* scale: factor x + plus */
  double offset;             /* kinds of times: subtracted from t */
  double scale;              /* fourier: standard deviation of its first values */
  double within;             /* tables: start uniform within it; 0: standard normal */
  df_conv_opts conv;         /* stride, zeros around */
  df_norm_opts norm;         /* groups, epsilon */
  df_sinusoid_opts sinusoid; /* width, max_period, shift, order */
  double normal;             /* linear, conv: std of the first values; 0: uniform */
  bool bias;                 /* linear, conv, attention's output: has one */
  bool qkv_bias;             /* attention: q, k and v have one */
  bool fused;                /* attention: one weight for q, k and v */
  bool causal;               /* attention: token i attends to tokens 1 .. i */
  bool affine;               /* norms: have weight and bias */
  bool standard;             /* conv: its weight is standardised for each output */
  bool spread;               /* linear_attention: v is divided by the tokens' number */
  bool own;                  /* attend: the last keys are the queries' own tokens */
  bool log;                  /* fourier: of ln t */
  bool reflect;              /* fir: mirrored pixels around, not zeros */
  bool fill; /* cat: a missing second input is zeros of the first one's shape */
  bool tanh; /* gelu: its approximation by tanh */
  bool zero; /* starts at zero, so that a residual block starts as the identity */
} df_layer_opts;

typedef struct df_part {
  char *name; /* "" for a layer without parameters that has no path */
  df_layer *layer;
} df_part;

/* A low-rank change of a linear layer or convolution: see adapter.h. */
typedef struct df_adapter {
  df_layer *down, *up; /* A: in -> rank, B: rank -> columns of the result */
  df_int at;           /* the first of these columns */
  double scale;        /* B A x is multiplied by it; 0: off */
  double dropout;      /* probability of an element of x to be set to 0 */
  struct df_adapter *next;
} df_adapter;

struct df_layer {
  int refs;
  const df_kind *kind;
  df_layer_opts o;
  char *path;              /* in its model, "blocks.2.conv"; NULL until named */
  df_param *weight, *bias; /* NULL if there is none */
  df_part *part;
  int parts;
  df_adapter *adapter; /* the first of a list, or NULL */
  bool failed;         /* a part could not be made */
  bool eval;           /* no dropout, inside d.record either */
};

/* -- making -------------------------------------------------------------------------- */
df_layer *df_layer_new(const df_kind *kind, const df_layer_opts *o);
/* Takes `part` over and returns it. NULL (with the sentence set) marks the whole as
** failed. */
df_layer *df_layer_add(df_layer *layer, df_layer *part, const char *name);
/* The layer, or NULL if one of its parts failed. */
df_layer *df_layer_done(df_layer *layer);
bool df_is_geglu(const df_layer *layer); /* the gated unit */
df_layer *df_layer_retain(df_layer *layer);
void df_layer_release(df_layer *layer); /* NULL is fine */
/* Gives a new layer its parameters. On failure releases the layer and returns NULL. */
df_layer *df_layer_furnish(df_layer *layer, const df_shape *weight, df_init w,
                           const df_shape *bias, df_init b);

/* -- using --------------------------------------------------------------------------- */
/* Checks the number of inputs, runs the layer in a scope of its own, and puts its path in
** front of an error. Returns NULL if a required input is NULL. */
df_tensor *df_layer_call(df_tape *tape, const df_layer *layer, df_tensor *const *x,
                         int n);
/* The same in the caller's scope. x has DF_INPUTS entries, and the required ones are not
** NULL. */
df_tensor *df_layer_forward(df_tape *tape, const df_layer *layer, df_tensor *const *x);
/* The layer and the gated unit behind it, if its kind has `gated`. */
df_tensor *df_layer_gated(df_tape *tape, const df_layer *layer, df_tensor *x);
df_tensor *df_layer_of(df_tape *tape, const df_layer *layer,
                       df_tensor *x); /* one input */
/* Like df_layer_call, but saves only the inputs for the backward pass, which computes the
** layer again. */
df_tensor *df_layer_recomputed(df_tape *tape, const df_layer *layer, df_tensor *const *x,
                               int n);

const df_layer *df_layer_part(const df_layer *layer, const char *name); /* or NULL */
/* "conv(1 -> 32, kernel 3)" */
void df_layer_text(const df_layer *layer, char *text, size_t size);
void df_layer_set_eval(df_layer *layer, bool eval);              /* and all its parts */
bool df_layer_drops(const df_tape *tape, const df_layer *layer); /* is dropout on? */

/* Names the layer, its parts and their parameters in order, after a path ("" for the
** root). Appends the parameters to the list, which holds n; a parameter that is in the
** list keeps its first name. Returns the new number, or -1: no memory, or a parameter
** belongs to another model. The list has room for df_layer_count more. */
int df_layer_name(df_layer *layer, const char *path, df_param **list, int n);
int df_layer_count(const df_layer *layer); /* parameters; shared ones count twice */

/* -- the kinds ----------------------------------------------------------------------- */
typedef df_layer *df_maker(const df_layer_opts *o);

/* simple.c: layers without parts */
df_maker df_linear_layer;     /* ..., in -> ..., out */
df_maker df_conv_layer;       /* B, H, W, in -> B, H', W', out */
df_maker df_group_norm_layer; /* B, ..., in; groups 0: df_groups_for */
df_maker df_layer_norm_layer; /* ..., in */
df_maker df_embedding_layer;  /* integers, 0 none -> ..., out; in rows */
df_maker df_positions_layer;  /* B, N, in */
df_maker df_dropout_layer;
df_layer *df_parameter_layer(df_tensor *value); /* one parameter, no forward */
df_layer *df_group_layer(void);                 /* parts, no forward */

/* times.c: times as vectors, and images over times. See there for the equations. */
df_maker df_sinusoid_layer; /* B -> B, width; B, N -> B, N, width */
df_maker df_fourier_layer, df_time_rows_layer, df_over_time_layer;

/* resize.c: changes of size without products. */
df_maker df_enlarge_layer, df_avg_pool_layer, df_fir_layer;

/* block.c: residual blocks on images and changes of size */
df_maker df_norm_conv_layer, df_res_block_layer, df_upsample_layer, df_downsample_layer;

/* attend.c */
df_maker df_attention_layer, df_attention_block_layer;

/* rms.c */
df_maker df_rms_norm_layer; /* B, ..., in; a second input B, 2 in scales and shifts */

/* memory.c */
df_maker df_memory_attention_layer, df_linear_attention_layer;

/* learned_waves.c, one_hot.c */
df_maker df_learned_waves_layer; /* B -> B, 1 + width */
df_maker df_one_hot_layer;       /* like, class -> B, classes */

/* time_embed.c */
df_maker df_time_embed_layer;

/* labels.c */
df_maker df_labels_layer;
/* Fails for an integer [B] outside 0..classes. Other types and shapes are left to
** df_embedding. */
df_code df_check_classes(const df_tensor *class, df_int classes);

/* plain.c: layers without parameters. See there for the equations. */
df_maker df_silu_layer, df_gelu_layer, df_quick_gelu_layer, df_geglu_layer,
    df_activation_layer, df_scale_layer, df_add_layer, df_mul_layer, df_cat_layer,
    df_chunk_layer, df_per_token_layer, df_modulate_layer, df_gate_layer, df_tokens_layer,
    df_pixels_layer, df_patchify_layer, df_unpatchify_layer, df_places_layer;

/* tokens.c: arranging tokens, and attention without products. */
df_maker df_flatten_layer, df_unflatten_layer, df_join_layer, df_attend_layer;

/* pool.c */
df_maker df_attention_pool_layer; /* B, N, in -> B, in */

/* The largest divisor of C that is at most 32 and leaves 4 channels per group, or 1. */
df_int df_groups_for(df_int C);

/* Fails unless o->act is a df_act. */
df_code df_check_act(const df_layer_opts *o);

/* Fails unless `value` >= 1: "conv: in must be at least 1, got 0". */
df_code df_at_least_one(const char *layer, const char *what, df_int value);

#endif
