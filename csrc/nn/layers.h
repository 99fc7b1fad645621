/* Layers: parameters with a forward, all called in one way, so that stock networks (here,
** in C) and modules (in Lua) are built of the same ones. A layer may consist of parts,
** which are layers with a name; a network is one too. */
#ifndef df_layers_h
#define df_layers_h

#include "nn/params.h"
#include "ops/op.h"

typedef struct df_layer df_layer;

#define DF_INPUTS 4 /* at most */

typedef struct df_kind {
  const char *name; /* "conv" */
  int least, most;  /* inputs; a missing one is NULL */
  df_tensor *(*forward)(df_tape *tape, const df_layer *layer, df_tensor *const *x);
  /* what stands between the brackets of `conv(1 -> 32, kernel 3)`; NULL: nothing */
  void (*describe)(const df_layer *layer, char *text, size_t size);
} df_kind;

/* What a kind needs to know; each reads its own. */
typedef struct df_layer_opts {
  df_int in, out;    /* channels, or widths */
  df_int kernel;     /* R = S */
  df_conv_opts conv; /* stride, zeros around */
  df_norm_opts norm; /* groups, epsilon, silu, dropout after it */
  df_sinusoid_opts sinusoid;
  df_int heads;
  df_int times;        /* upsampling */
  df_int width;        /* of the embedding that a residual block adds; 0: none */
  df_int classes;      /* 0: none */
  double keep;         /* dropout: the share that stays */
  bool bias;           /* linear, conv: has one */
  bool self_condition; /* a network: told its own x0, beside what it is asked about */
  bool recompute;      /* a network: its blocks are computed again on the way back */
  bool zero;           /* starts at zero, so that a block starts as the identity */
  const void *network; /* a network's own plan; freed with the layer by free() */
} df_layer_opts;

typedef struct df_part {
  char name[24];
  df_layer *layer;
} df_part;

struct df_layer {
  int refs;
  const df_kind *kind;
  df_layer_opts o;
  char *path;              /* in its model, "blocks.2.conv"; NULL until packed */
  df_param *weight, *bias; /* NULL where there is none */
  df_part *part;
  int parts;
  bool failed; /* a part couldn't be made */
  bool eval;   /* dropout is off, inside d.record too */
};

/* -- making -------------------------------------------------------------------------- */
df_layer *df_layer_new(const df_kind *kind, const df_layer_opts *o);
/* Takes `part` over; returns it. NULL (with the sentence set) marks the whole as failed. */
df_layer *df_layer_add(df_layer *layer, df_layer *part, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
/* The layer, or NULL if one of its parts failed. */
df_layer *df_layer_done(df_layer *layer);
df_layer *df_layer_retain(df_layer *layer);
void df_layer_release(df_layer *layer); /* NULL is fine */
/* Gives a new layer its parameters; NULL and the layer let go of on failure. */
df_layer *df_layer_furnish(df_layer *layer, const df_shape *weight, df_init w,
                           const df_shape *bias, df_init b);

/* -- using --------------------------------------------------------------------------- */
/* Checks, runs in a scope of its own, and puts the path in front of an error. A NULL
** first input returns NULL. */
df_tensor *df_layer_call(df_tape *tape, const df_layer *layer, df_tensor *const *x,
                         int n);
df_tensor *df_layer_of(df_tape *tape, const df_layer *layer,
                       df_tensor *x); /* one input */
/* Between a network's layers, in place of a scope's own: y is held by itself, what else was
** made since the mark goes, and what was held before. y may be NULL. */
df_tensor *df_layer_hold(df_tape *tape, size_t mark, df_tensor *y, df_tensor *before);
/* The same as df_layer_call, but of what is inside nothing is kept for the way back: it is
** computed again there. */
df_tensor *df_layer_recomputed(df_tape *tape, const df_layer *layer, df_tensor *const *x,
                               int n);

const df_layer *df_layer_part(const df_layer *layer, const char *name); /* or NULL */
/* "conv(1 -> 32, kernel 3)" */
void df_layer_text(const df_layer *layer, char *text, size_t size);
void df_layer_set_eval(df_layer *layer, bool eval);              /* and all its parts */
bool df_layer_drops(const df_tape *tape, const df_layer *layer); /* is dropout on? */

/* Names the layer, its parts and their parameters, in order, after a path ("" for the
** root), and collects the parameters (at most df_layer_count) behind the n in the list;
** those that are there keep their first name. Returns the new number, or -1: memory, or a
** parameter lives in a model already. */
int df_layer_name(df_layer *layer, const char *path, df_param **list, int n);
int df_layer_count(const df_layer *layer); /* parameters, shared ones as often as met */

/* -- the kinds ----------------------------------------------------------------------- */
/* All zeros in `o` mean the usual: see each. */
df_layer *df_linear_layer(df_int in, df_int out, bool bias, bool zero);
df_layer *df_conv_layer(const df_layer_opts *o); /* in, out, kernel, conv, bias, zero */
df_layer *df_group_norm_layer(df_int channels, df_int groups, double tiny);
df_layer *df_layer_norm_layer(df_int channels, double tiny);
df_layer *df_embedding_layer(df_int n, df_int width);
df_layer *df_sinusoid_layer(const df_sinusoid_opts *o);
df_layer *df_dropout_layer(double keep);
df_layer *df_silu_layer(void);
df_layer *df_gelu_layer(void);
df_layer *df_parameter_layer(df_tensor *value);
df_layer *df_group_layer(void); /* parts, no forward */

/* The largest divisor of C that is at most 32 and leaves 4 channels a group; 1 if none. */
df_int df_groups_for(df_int C);

/* Fails unless `value` >= 1: "conv: in must be at least 1, got 0". */
df_code df_at_least_one(const char *layer, const char *what, df_int value);
/* The multiples of `factor` about a side: "28 or 32 fit", "4 fits". */
void df_fitting(char *text, size_t size, df_int side, df_int factor);

#endif
