/* The contract page of all ops: maths on tensors, each with its backward in its own file.
**
** An op checks its operands, allocates, makes one engine or kernel call over the pool,
** and notes itself on the tape. The tape's scope owns its result. Given NULL, or on
** failure, it returns NULL with the error set, so expressions nest and are checked once.
**
** Operands may be strided and of any type. f16, bf16, u8 and i64 are computed as reals,
** but an i64 that a real would round fails. f64 is computed in core64 only. Results are
** dense reals unless the line says otherwise. Integer results are i64 and exact, or the
** op fails. Dimensions and indices count from 0 here and from 1 in Lua.
**
** Sizes are B batch, H W height and width, C K channels in and out, R S kernel, N tokens,
** D width and G groups. The gradient of v is dv.
**
** Corners. Values are those of IEEE 754: 0 inf, inf - inf and 0 / 0 are NaN, and NaN
** stays. A slope is the derivative or its limit: +-inf at 0 of sqrt, log and powers below
** 1. If there is none, it is set:
**   norm, std, abs, relu, l1 at 0                      0
**   max, min, maximum, minimum if elements tie         equal shares
**   clamp, huber on their bounds                       the slope from within
**   pow at x = 0, p >= 0, by p                         0
** The slope of prod is the product of the other elements. sort, topk and quantile have
** the slope of the element's place.
**
** A line that is all -inf has no weight to share out. softmax and attention give 0,
** log_softmax and logsumexp -inf, cross_entropy inf, and the slopes are 0. One inf among
** logits gives NaN.
**
** Empty input: sum and norm give 0, prod 1, logsumexp -inf, mean, var and std NaN. var
** and std are NaN also if n isn't above the correction. max, min, argmax, argmin and
** quantile fail. */
#ifndef df_op_h
#define df_op_h

#include "ops/copy.h"
#include "ops/tape.h"

/* ==== layout.c: windows and copies of any dtype; gradients flow through all ========= */

/* x itself if it is dense reals, else a dense copy. Most ops begin with it. */
df_tensor *df_dense(df_tape *tape, df_tensor *x);
/* Replaces each of n operands that isn't NULL by its dense form; false: failed. */
bool df_all_dense(df_tape *tape, df_tensor **x, int n);
/* x itself if it has the dtype */
df_tensor *df_to(df_tape *tape, df_tensor *x, df_dtype dtype);
df_tensor *df_view(df_tape *tape, df_tensor *x, const df_shape *shape); /* no copy */
df_tensor *df_reshape(df_tape *tape, df_tensor *x, const df_shape *shape);
df_tensor *df_permute(df_tape *tape, df_tensor *x, const int *order);
df_tensor *df_expand(df_tape *tape, df_tensor *x, const df_shape *shape);
df_tensor *df_narrow(df_tape *tape, df_tensor *x, int dim, df_int start, df_int length);
df_tensor *df_select(df_tape *tape, df_tensor *x, int dim, df_int index);
df_tensor *df_detach(df_tape *tape, df_tensor *x); /* the same values as a constant */
df_tensor *df_clone(df_tape *tape, df_tensor *x);

/* ==== arrange.c: copies of any dtype ================================================ */

/* along dim; shapes agree elsewhere; any dtype, the same for all */
df_tensor *df_cat(df_tape *tape, df_tensor *const *x, int n, int dim);
df_tensor *df_stack(df_tape *tape, df_tensor *const *x, int n, int dim);
df_tensor *df_flip(df_tape *tape, df_tensor *x, int dim);
df_tensor *df_roll(df_tape *tape, df_tensor *x, df_int shift, int dim);
df_tensor *df_repeat_each(df_tape *tape, df_tensor *x, df_int times, int dim);
/* before[i], after[i] >= 0 elements around dimension i; `value` is one number, NULL: 0 */
df_tensor *df_pad(df_tape *tape, df_tensor *x, const df_int *before, const df_int *after,
                  df_tensor *value);

/* ==== mix.c ========================================================================= */

/* y = sum_i c_i x_i + c eps, with eps standard normal from Philox. It is every noising,
** posterior mean, conversion, guidance and sampler update. A coefficient is one double
** (n = 1), or one for each sample of the first dimension (n = B). All x have one
** shape. */
typedef struct df_term {
  df_tensor *x;
  const double *c;
  df_int n;
} df_term;

typedef struct df_noise {
  const double *c;
  df_int n;
  df_random key;        /* sample k of the batch draws with key.sample + k */
  const uint32_t *step; /* NULL, or sample k draws with step[k] for key.step */
  df_tensor *eps;       /* NULL, or eps is written here */
} df_noise;

#define DF_TERMS_MAX 16
df_tensor *df_mix(df_tape *tape, const df_term *term, int terms, const df_noise *noise);

/* Several normals at once: y = sum_i c_i x_i + sum_j c_j z_j. z_j is drawn by step j
** alone, with one c_j for all samples. Only the x have gradients. A Brownian increment is
** such a sum over the nodes of its tree. */
typedef struct df_normals {
  const double *c;
  const uint32_t *step;
  df_int n;      /* number of c and of step, 0..DF_NORMALS_MAX */
  df_random key; /* its step is not used; sample k draws with key.sample + k */
} df_normals;

#define DF_NORMALS_MAX 64
df_tensor *df_mix_normals(df_tape *tape, const df_term *term, int terms,
                          const df_normals *normals);

/* ==== unary.c ======================================================================= */

typedef struct df_unary_op df_unary_op; /* "exp", "silu", ... */
const df_unary_op *df_unary_find(const char *name);
df_tensor *df_unary_of(df_tape *tape, const df_unary_op *op, df_tensor *x);

df_tensor *df_silu(df_tape *tape, df_tensor *x);
df_tensor *df_gelu(df_tape *tape, df_tensor *x);       /* x Phi(x), by erf */
df_tensor *df_gelu_tanh(df_tape *tape, df_tensor *x);  /* its approximation by tanh */
df_tensor *df_quick_gelu(df_tape *tape, df_tensor *x); /* x sigmoid(1.702 x) */
df_tensor *df_scale(df_tape *tape, df_tensor *x, double c); /* c x */
df_tensor *df_clamp(df_tape *tape, df_tensor *x, double low, double high);

/* ==== binary.c: shapes broadcast ====================================================
**
** Integers stay i64. pow does so for p >= 0, and div never. */

/* "add" "sub" "mul" "div" "maximum" "minimum" "pow" */
typedef struct df_binary_op df_binary_op;
const df_binary_op *df_binary_find(const char *name);
df_tensor *df_binary_of(df_tape *tape, const df_binary_op *op, df_tensor *a,
                        df_tensor *b);

df_tensor *df_add(df_tape *tape, df_tensor *a, df_tensor *b);
df_tensor *df_sub(df_tape *tape, df_tensor *a, df_tensor *b);
df_tensor *df_mul(df_tape *tape, df_tensor *a, df_tensor *b);
df_tensor *df_div(df_tape *tape, df_tensor *a, df_tensor *b);
df_tensor *df_plus(df_tape *tape, df_tensor *x, double c);    /* x + c */
df_tensor *df_pow(df_tape *tape, df_tensor *x, df_tensor *p); /* C's pow */

/* ==== mask.c: masks are u8 ========================================================== */

/* 1 where `relation` ("eq" "ne" "lt" "le" "gt" "ge") holds, else 0 */
df_tensor *df_compare(df_tape *tape, const char *relation, df_tensor *a, df_tensor *b);
df_tensor *df_isfinite(df_tape *tape, df_tensor *x);
/* the number of samples of dense reals {B,...} that hold NaN or infinity */
df_int df_nonfinite_samples(const df_tensor *x);
/* a if mask isn't 0, else b; i64 if both are integers */
df_tensor *df_where(df_tape *tape, df_tensor *mask, df_tensor *a, df_tensor *b);
/* one shape, and |a - b| <= atol + rtol |b| throughout; NaN is close to nothing */
bool df_close(const df_tensor *a, const df_tensor *b, double rtol, double atol);

/* ==== write.c: in place =============================================================
**
** y op= x, broadcast to y. y may be strided, and its dtype stays. An i64 y takes integers
** only. */

df_code df_binary_into(df_tape *tape, const df_binary_op *op, df_tensor *y, df_tensor *x);
df_code df_copy_into(df_tape *tape, df_tensor *y, df_tensor *x);
df_code df_fill_into(df_tape *tape, df_tensor *y, double value);

/* ==== reduce.c: dims is a bit set of dimensions, 0 all; keep leaves sizes of 1 ====== */

/* i64 if x is of integers, as in prod, cumsum, and matmul of two such tensors */
df_tensor *df_sum(df_tape *tape, df_tensor *x, unsigned dims, bool keep);
df_tensor *df_mean(df_tape *tape, df_tensor *x, unsigned dims, bool keep);
/* divided by n - correction; correction 1 as usual */
df_tensor *df_var(df_tape *tape, df_tensor *x, unsigned dims, bool keep,
                  df_int correction);
df_tensor *df_std(df_tape *tape, df_tensor *x, unsigned dims, bool keep,
                  df_int correction);
df_tensor *df_norm(df_tape *tape, df_tensor *x, unsigned dims, bool keep); /* L2 */
df_tensor *df_largest(df_tape *tape, df_tensor *x, unsigned dims, bool keep);
df_tensor *df_smallest(df_tape *tape, df_tensor *x, unsigned dims, bool keep);

/* ==== along.c: ops along whole lines of x =========================================== */

df_tensor *df_prod(df_tape *tape, df_tensor *x, unsigned dims, bool keep);
df_tensor *df_logsumexp(df_tape *tape, df_tensor *x, unsigned dims, bool keep);
df_tensor *df_argmax(df_tape *tape, df_tensor *x, unsigned dims, bool keep,
                     bool smallest); /* i64, from 1; the place of a NaN if there is one */
df_tensor *df_cumsum(df_tape *tape, df_tensor *x, int dim);

/* ==== sort.c ======================================================================== */

/* along dim; *index (if not NULL) becomes the places, i64 from 1; stable, NaN last */
df_tensor *df_sort(df_tape *tape, df_tensor *x, int dim, bool descending,
                   df_tensor **index);
df_tensor *df_topk(df_tape *tape, df_tensor *x, df_int k, int dim, df_tensor **index);
/* linear between order statistics, q in [0, 1] */
df_tensor *df_quantile(df_tape *tape, df_tensor *x, double q, int dim, bool keep);

/* ==== select.c: index is i64, counting from 1 ======================================= */

/* rows of x along dim: y[..., j, ...] = x[..., index[j], ...]; any dtype */
df_tensor *df_index(df_tape *tape, df_tensor *x, int dim, df_tensor *index);
/* y[i][j] = x[i][index[i][j]] for dim 1, and so on; index has x's dimensions */
df_tensor *df_gather(df_tape *tape, df_tensor *x, int dim, df_tensor *index);

/* ==== activation.c ================================================================== */

df_tensor *df_softmax(df_tape *tape, df_tensor *x, int dim);
df_tensor *df_log_softmax(df_tape *tape, df_tensor *x, int dim);

/* ==== geglu.c ======================================================================= */

/* a gelu(b), where x = [a, b] along the last dimension (Shazeer 2020).
**   x: ..., 2 C  ->  ..., C
** The second half is the gate, as in diffusers' GEGLU. keeps x. fails: an odd size. */
df_tensor *df_geglu(df_tape *tape, df_tensor *x);

/* Rows [row, row + rows) of y (C wide) from the first `rows` of x (2 C wide). */
typedef struct df_gating {
  df_real *y;
  const df_real *x;
  df_int C;
} df_gating;
void df_gate_rows(void *gating, df_int row, df_int rows);

/* ==== norm.c ======================================================================== */

typedef enum df_act {
  DF_ACT_NONE,
  DF_ACT_SILU,
  DF_ACT_RELU,
  DF_ACT_GELU,
  DF_ACT_MISH,
  DF_ACT_TANH
} df_act;
extern const char
    *const df_act_names[]; /* by df_act: "none", "silu" ...; ends with NULL */
/* x itself for DF_ACT_NONE */
df_tensor *df_activation(df_tape *tape, df_act act, df_tensor *x);

typedef struct df_norm_opts {
  df_int groups; /* divides C */
  double tiny;   /* epsilon, 1e-5 */
  df_act act;    /* y = act(norm(x)) */
  double keep;   /* dropout after it: 1 none, else the share that stays */
  df_form form;  /* the form that the next op takes */
} df_norm_opts;

/* The operands of a group norm; all but x may be NULL. */
typedef struct df_normed {
  df_tensor *x;     /* B, ..., C */
  df_tensor *e;     /* B, C */
  df_tensor *m;     /* B, 2 C: scale s, then shift t */
  df_tensor *w, *b; /* C */
} df_normed;

/* Group normalisation (Wu & He 2018) of z = x + e, then an activation and dropout, all in
** cache.
**   h = (z - mean) / sqrt(s2 + tiny) * w + b    y = dropout(act(h (1 + s) + t))
** The mean and s2 are taken over each group of C/G channels and all pixels of one image.
** e, or s and t, are what a residual block makes of the time. e only moves the means of
** channels, and s and t only their coefficients, so they cost no pass.
** keeps: its operands; the mean in two reals and 1/sqrt(s2 + tiny), B, G; with e, the
** distance of each channel's mean from the group's, B, C; the key of its dropout. Its
** result is recomputed in the backward pass.
** fails: G doesn't divide C; e, m, w or b has another size. */
df_tensor *df_group_norm(df_tape *tape, const df_normed *of, const df_norm_opts *opts);

/* ==== layer_norm.c ================================================================== */

/* Layer normalisation (Ba et al. 2016) over the last dimension.
**   x: ..., C    w, b: C or NULL   ->  y: ..., C
** keeps: x, w, and for each row m and 1/sqrt(s2 + tiny). */
df_tensor *df_layer_norm(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *b,
                         double tiny);

/* ==== rms_norm.c ==================================================================== */

/* Root mean square normalisation (Zhang & Sennrich 2019) over the last dimension:
**   y = x / sqrt(mean(x^2) + tiny) w     x: ..., C    w: C or NULL
** keeps: x, w, and for each row 1/sqrt(mean(x^2) + tiny). */
df_tensor *df_rms_norm(df_tape *tape, df_tensor *x, df_tensor *w, double tiny);

/* ==== linear.c ====================================================================== */

/* y = x w^T + b.   x: ..., C    w: K, C    b: K or NULL   ->  ..., K
** w is read in its own float type and strides; see product.h. */
df_tensor *df_linear(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *b);

/* df_geglu of df_linear, with the same bits. Without a gradient the linear layer's result
** stays in cache. */
df_tensor *df_linear_geglu(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *b);
/* a: m, k   b: k, n  ->  m, n; leading dimensions, where there are any, are equal */
df_tensor *df_matmul(df_tape *tape, df_tensor *a, df_tensor *b);

/* ==== conv2d.c ====================================================================== */

typedef struct df_conv_opts {
  df_int stride;
  df_int top, bottom, left, right; /* zeros around */
} df_conv_opts;

/* Cross-correlation:
**   y[n,h,w,k] = b[k] + add[n,h,w,k]
**                + sum_rsc x[n, h stride + r - top, w stride + s - left, c] w[k,r,s,c]
**   x: B, H, W, C (any form)   w: K, R, S, C   b: K or NULL   add: as y, or NULL
** w is read in its own float type and strides; see product.h.
** keeps: x in its form, and w.
** fails: channels differ; the kernel is larger than the padded image. */
df_tensor *df_conv2d(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *b,
                     df_tensor *add, const df_conv_opts *opts);

/* The form in which it reads an x of this shape best. */
df_form df_conv2d_form(const df_tape *tape, const df_tensor *x, const df_tensor *w,
                       const df_conv_opts *opts);

/* ==== recompute.c =================================================================== */

#define DF_STRETCH_INPUTS 10

/* A part of a network: y = run(what, x), x the first n of the tensors it keeps. */
typedef struct df_stretch {
  df_tensor *(*run)(df_tape *tape, void *what, df_tensor *const *x);
  void *what;
  void (*release)(void *what); /* called once, when it isn't needed any more */
  /* inputs, at most DF_STRETCH_INPUTS; and inputs with the parameters behind them */
  int n, kept;
} df_stretch;

/* Computes run and keeps nothing inside it. In the backward pass it is computed again,
** with the same random numbers and bits. keep: the inputs (NULL is fine), then one
** parameter of each parameter buffer that it reads, so that a write there is noticed. */
df_tensor *df_recompute(df_tape *tape, const df_stretch *stretch, df_tensor *const *keep);

/* ==== attention.c =================================================================== */

typedef struct df_attention_opts {
  df_int heads;    /* divides the width of q */
  bool causal;     /* query i sees the keys 0 .. i + M - N: the last query sees all */
  df_tensor *mask; /* or NULL */
} df_attention_opts;

/* softmax(q k^T / sqrt(D) + mask) v in each head (Vaswani et al. 2017, eq. 1).
**   q: B, N, heads D    k, v: B, M, heads D   ->  B, N, heads D
**   mask: B, M (of keys)    B, N, M    or B, heads, N, M; B, heads and N may be 1
** A mask of floats is added to the scores. In a mask of u8 or i64, 0 hides a key and any
** other value keeps it. A query that sees no key gets zeros and gives no gradient. keeps
** q, k, v, the mask, its result, and two reals for each query and head; the scores are
** recomputed in the backward pass. fails: the mask wants a gradient; it has none. */
df_tensor *df_attention(df_tape *tape, df_tensor *q, df_tensor *k, df_tensor *v,
                        const df_attention_opts *opts);

/* ==== indices.c ===================================================================== */

/* x as dense i64 (x itself if it is so). */
df_tensor *df_dense_whole(df_tape *tape, df_tensor *x);
/* The same for tensors of indices and classes. `what` names them in a message: "gather:
** index". Fails if an element is not a whole number of 64 bits. */
df_tensor *df_indices(df_tape *tape, const char *what, df_tensor *x);

/* ==== embed.c ======================================================================= */

/* Rows of a table of any float type: y[i] = w[index[i]], zeros if index is 0 (no class).
**   index: i64 of any shape, 0..n    w: n, D   ->  shape of index, D */
df_tensor *df_embedding(df_tape *tape, df_tensor *index, df_tensor *w);

typedef struct df_sinusoid_opts {
  df_int width;      /* if it is odd, the last number is 0 */
  double max_period; /* 10000 */
  double shift;      /* exponent -k / (width/2 - shift): 0 ADM, 1 DDPM */
  double offset;     /* subtracted from t first */
  bool sin_first;    /* [sin, cos], else [cos, sin] */
  bool single;       /* frequencies and angles are rounded to f32, as PyTorch does */
} df_sinusoid_opts;
/* t: B (any type)  ->  B, width. It has no gradient. */
df_tensor *df_sinusoid(df_tape *tape, df_tensor *t, const df_sinusoid_opts *opts);

typedef struct df_fourier_opts {
  double offset;  /* subtracted from t first */
  bool log;       /* takes ln t instead of t */
  bool sin_first; /* [sin, cos], else [cos, sin] */
} df_fourier_opts;
/* Waves of 2 pi w t (Song et al. 2021, appendix C), rounded to f32 as PyTorch does.
**   t: B (any type)    w: C    ->  B, 2 C. It has no gradient. */
df_tensor *df_fourier(df_tape *tape, df_tensor *t, df_tensor *w,
                      const df_fourier_opts *opts);

/* ==== resample.c ==================================================================== */

/* nearest: each pixel `times` times in both directions.  B, H, W, C -> B, tH, tW, C */
df_tensor *df_upsample(df_tape *tape, df_tensor *x, df_int times);
/* mean of times x times pixels; t divides H and W.   B, H, W, C -> B, H/t, W/t, C */
df_tensor *df_avg_pool(df_tape *tape, df_tensor *x, df_int times);

/* ==== fir.c ========================================================================= */

#define DF_FIR_TAPS 8

typedef struct df_fir_opts {
  df_int up, down;      /* factors, 1..64 */
  df_int before, after; /* zeros in front and behind of the enlarged rows and columns;
                        ** below 0: as many are cut off */
  bool reflect;         /* before and after are mirrored pixels of x; not below 0 */
  int taps;             /* 1..DF_FIR_TAPS */
  double tap[DF_FIR_TAPS];
} df_fir_opts;

/* An image filtered and resampled, one direction after the other, as upfirdn2d of
** StyleGAN2 does. `up` - 1 zeros are put behind each pixel, and `before` and `after` ones
** around. Sums of `taps` neighbours are taken, in steps of `down`.
**   B, H, W, C -> B, (H up + before + after - taps) / down + 1, and so for W, C
** fails: the filter is longer than the image around it. */
df_tensor *df_fir(df_tape *tape, df_tensor *x, const df_fir_opts *opts);

/* ==== random.c: no gradients but dropout's ========================================== */

/* They draw from the tape's own counter, or from a key. With two or more dimensions the
** first one counts samples: sample k draws with key.sample + k. */
df_tensor *df_randn(df_tape *tape, const df_shape *shape, const df_random *key);
df_tensor *df_rand(df_tape *tape, const df_shape *shape, const df_random *key);
df_tensor *df_bernoulli(df_tape *tape, const df_shape *shape, double p,
                        const df_random *key); /* 1 with probability p to 2^-24, else 0 */
df_tensor *df_randint(df_tape *tape, const df_shape *shape, int64_t low, int64_t high,
                      const df_random *key); /* i64, both ends included */
df_tensor *df_randperm(df_tape *tape, df_int n, const df_random *key); /* i64, 1..n */
/* x / keep with probability keep, else 0 (Srivastava et al. 2014) */
df_tensor *df_dropout(df_tape *tape, df_tensor *x, double keep);

/* ==== loss.c: a, b of one shape; the mean over all, or per sample (first dim): B ==== */

df_tensor *df_mse(df_tape *tape, df_tensor *a, df_tensor *b, bool per_sample);
df_tensor *df_l1(df_tape *tape, df_tensor *a, df_tensor *b, bool per_sample);
/* Huber 1964: d^2/2 within delta, delta (|d| - delta/2) beyond */
df_tensor *df_huber(df_tape *tape, df_tensor *a, df_tensor *b, double delta,
                    bool per_sample);
/* -log softmax(x)[class];  x: B, n   class: i64 B, 1..n */
df_tensor *df_cross_entropy(df_tape *tape, df_tensor *x, df_tensor *class,
                            bool per_sample);

/* ==== linalg.c: double inside; LAPACK through engine/lapack ========================= */

/* a: n, n symmetric. *values becomes the eigenvalues, ascending; the result's columns are
** the vectors. */
df_tensor *df_eigh(df_tape *tape, df_tensor *a, df_tensor **values);
df_tensor *df_cholesky(df_tape *tape, df_tensor *a); /* lower */
df_tensor *df_solve(df_tape *tape, df_tensor *a, df_tensor *b);

#endif
