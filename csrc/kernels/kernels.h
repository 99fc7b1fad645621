/* The contract of all kernels. Kernels are loops over arrays of reals. They cannot fail,
** start no threads, and know only the shapes in their arguments. Each instruction set has
** one table. The scalar table is complete; the others replace the entries that they can
** do faster (dispatch.c).
**
** Outputs come first. n counts elements; rows x C is a matrix, stored by rows. A sink
** (`dx`, `beta`) means dx = beta * dx + ...; with beta == 0 dx is not read, so it may
** hold NaN. Arrays of one call do not overlap, unless the line says "in place". Any
** n >= 0 is valid, with any alignment. Each output element is computed in the same order
** for any position in the array and any division of the array.
**
** Terms. Each has one meaning here and in engine/; engine.h defines more.
**   pitch   elements from the start of a row to the start of the next: ldx, ldy
**   tap     one position of a convolution's kernel; as a number, its offset into x
**   panel   adjacent columns of packed weights: `panel` columns in reals, 32 in bf16
**   pair    two adjacent rows of W, stored element by element next to each other
**   plane   one of several arrays of one layout, a fixed step apart: the high and low
**           bf16 of reals, or the points of Winograd's tiles */
#ifndef df_kernels_h
#define df_kernels_h

#include "base/base.h"
#include "base/philox.h"

#define DF_TAPS_MAX 64

/* y[i] = f(x[i]); in place */
typedef void df_unary(df_real *y, const df_real *x, df_int n);

/* dx[i] = beta dx[i] + dy[i] f'(.); k is the value saved by the forward pass: x, or y as
** noted; dx == dy is allowed if beta == 0 */
typedef void df_unary_back(df_real *dx, df_real beta, const df_real *dy, const df_real *k,
                           df_int n);

/* y[i] = f(a[i sa], b[i sb]); sa and sb are 1, or 0 for a single value; y == a or y == b
** is allowed */
typedef void df_binary(df_real *y, const df_real *a, df_int sa, const df_real *b,
                       df_int sb, df_int n);

/* Optimiser constants of one step; see adamw. */
typedef struct df_update {
  df_real lr, beta1, beta2, tiny; /* tiny is Adam's epsilon */
  df_real correct1, correct2;     /* 1 / (1 - beta1^k), 1 / (1 - beta2^k) */
  df_real decay;                  /* decoupled weight decay: w -= lr decay w */
  df_real scale;                  /* gradient factor: clipping, 1 / accumulated steps */
  df_real ema;                    /* ema = ema_decay ema + (1 - ema_decay) w */
} df_update;

/* Products of few of Winograd's tiles with a panel of weights; see winograd_few. */
typedef struct df_winograd_few {
  int tiles; /* 1 to few_tiles */
  df_int C;
  const df_real *v; /* C x 6 points x tiles */
  const df_real *w; /* 9 taps, `tap` apart, of C x panel */
  df_int tap;
  df_real *m; /* 6 points, `output` apart, of tiles x panel */
  df_int output;
  bool add;
} df_winograd_few;

/* A product of rows of bf16 with panels of bf16, summed in reals; see pairs. */
typedef struct df_pairs {
  df_int m, K, C; /* rows, columns, channels per tap; C: multiple of pairs_step */
  df_real *y;
  df_int ldy;
  const df_int *place; /* m: offset of row i in y and add, -1 for a row that is not
                       ** stored; NULL: i ldy */
  const uint16_t *x;
  df_int ldx, x_low; /* from a row's high plane to its low plane; 0: no low plane */
  const df_int *tap; /* offsets into x */
  df_int taps;
  const uint16_t *w;   /* a panel: per tap C / 2 pairs x DF_PANEL columns x 2 */
  df_int panel, w_low; /* to the next panel; from a panel's high plane to its low one */
  const df_int *w_tap; /* panels x taps: offset of each tap in w; NULL: taps are adjacent,
                       ** and panels start at 0, panel, 2 panel ... */
  df_int y_panel;      /* from panel to panel in y and add; 0: DF_PANEL */
  const df_real *bias, *add;
  bool accumulate;
  df_int w_tall; /* channels from tap to tap in w; 0: C */
} df_pairs;
#define DF_PANEL  32
#define DF_BEHIND 31 /* rows after the last that are read, with any content */

static inline df_int df_pairs_tap(const df_pairs *p, df_int panel, df_int tap) {
  if (p->w_tap) return p->w_tap[panel * p->taps + tap];
  return panel * p->panel + tap * (p->w_tall ? p->w_tall : p->C) * DF_PANEL;
}
/* Offset of column k in y and add. */
static inline df_int df_pairs_column(const df_pairs *p, df_int k) {
  return p->y_panel ? k / DF_PANEL * p->y_panel + k % DF_PANEL : k;
}

/* A tile of scores and their exponents, factor x w + add + shift[c]. The first `used`
** rows are wanted. The rest of their last strip is computed too: `add` must hide it. */
typedef struct df_scores {
  df_real *y;           /* the result: m x panel */
  const df_real *x, *w; /* m x C in strips and C x panel; x NULL: y holds x w */
  df_int m, used, C;
  df_real factor;
  const df_real *shift; /* panel */
  const df_real *add;   /* m x panel, or NULL; score_slopes has none */
} df_scores;

typedef struct df_kernels {
  const char *name; /* "scalar", "avx2", "avx512", "avx512bf16", "amx", "neon" */

  /* -- activation.h, elementwise.h: unary ------------------------------------------ */
  df_unary *neg, *abs, *sign, *floor, *round; /* round: half to even */
  df_unary *exp, *log, *sqrt, *reciprocal, *square;
  df_unary *sin, *cos, *tanh, *erf, *erfc;
  df_unary *log_erfc;   /* ln erfc(x) */
  df_unary *silu;       /* x / (1 + e^-x) */
  df_unary *relu;       /* max(x, 0) */
  df_unary *gelu;       /* x Phi(x) by erf, not an approximation */
  df_unary *gelu_tanh;  /* x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */
  df_unary *quick_gelu; /* x / (1 + e^(-1.702 x)) */
  df_unary *mish;       /* x tanh(ln(1 + e^x)) */
  df_unary *sigmoid;    /* 1 / (1 + e^-x) */

  df_unary_back *abs_back, *log_back, *reciprocal_back, *square_back, *sin_back,
      *cos_back, *erf_back, *erfc_back, *log_erfc_back, *silu_back, *gelu_back,
      *gelu_tanh_back, *quick_gelu_back, *mish_back;                          /* k = x */
  df_unary_back *exp_back, *sqrt_back, *tanh_back, *relu_back, *sigmoid_back; /* k = y */

  /* -- elementwise.h: binary -------------------------------------------------------- */
  df_binary *add, *sub, *mul, *div, *maximum, *minimum;

  /* y[i] = beta y[i] + c a[i sa] b[i sb]; the gradient of a product */
  void (*product)(df_real *y, df_real beta, df_real c, const df_real *a, df_int sa,
                  const df_real *b, df_int sb, df_int n);

  /* y[i] = min(max(x[i], low), high); in place */
  void (*clamp)(df_real *y, const df_real *x, df_real low, df_real high, df_int n);

  /* -- mix.h ------------------------------------------------------------------------ */
  /* y[i] = beta y[i] + sum_j c[j] x[j][i], for j = 0..k-1 in this order; y may be one of
  ** x if beta == 0 */
  void (*mix)(df_real *y, df_real beta, const df_real *c, const df_real *const *x,
              df_int k, df_int n);

  /* -- reduce.h --------------------------------------------------------------------- */
  double (*sum)(const df_real *x, df_int n);
  double (*sum_squares)(const df_real *x, df_int n);
  double (*dot)(const df_real *a, const df_real *b, df_int n);
  df_real (*max)(const df_real *x, df_int n); /* n >= 1; NaN if any is NaN */
  df_real (*min)(const df_real *x, df_int n);
  /* y[c] += sum over rows of x[r ld + c]; C columns */
  void (*sum_rows)(df_real *y, const df_real *x, df_int rows, df_int C, df_int ld);

  /* -- norm.h: x is rows x C, dense ------------------------------------------------- */
  /* s1[c] += sum_r (x - centre[c]);  s2[c] += sum_r (x - centre[c])^2 */
  void (*moments)(df_real *s1, df_real *s2, const df_real *x, const df_real *centre,
                  df_int rows, df_int C);
  /* y = (x - centre[c]) * scale[c] + shift[c]; in place allowed */
  void (*norm_rows)(df_real *y, const df_real *x, const df_real *centre,
                    const df_real *scale, const df_real *shift, df_int rows, df_int C);
  /* s1[c] += sum_r dz;  s2[c] += sum_r dz (x - centre[c]) */
  void (*norm_back_moments)(df_real *s1, df_real *s2, const df_real *dz, const df_real *x,
                            const df_real *centre, df_int rows, df_int C);
  /* dx = beta dx + dz scale[c] + (x - centre[c]) slope[c] + shift[c]; dx == dz is allowed
  ** if beta == 0 */
  void (*norm_back_rows)(df_real *dx, df_real beta, const df_real *dz, const df_real *x,
                         const df_real *centre, const df_real *scale,
                         const df_real *slope, const df_real *shift, df_int rows,
                         df_int C);

  /* -- softmax.h: one row of n ------------------------------------------------------ */
  void (*softmax)(df_real *y, const df_real *x, df_real scale, df_int n);
  /* y = e^(scale x - max) / sum; in place; 0 for a row of -inf */
  void (*softmax_back)(df_real *dx, df_real beta, const df_real *dy, const df_real *y,
                       df_real scale, df_int n);   /* scale y (dy - sum(dy y)); dx == dy
                                                   ** allowed */
  double (*logsumexp)(const df_real *x, df_int n); /* n >= 1 */

  /* -- noise.h: element e of a key does not depend on `first` and n ------------------ */
  void (*uniform)(df_real *y, df_int first, df_int n, const df_random *key); /* (0, 1) */
  /* Box-Muller: elements 4k and 4k+1 come from words 0 and 1 of block k. They are r cos
  ** and r sin with r = sqrt(-2 ln u0) and angle 2 pi u1. Elements 4k+2 and 4k+3 come from
  ** words 2 and 3. */
  void (*normal)(df_real *y, df_int first, df_int n, const df_random *key);
  /* y = x / keep if half a word is below keep 2^16, else 0; in place. Elements 2k and
  ** 2k+1 use the lower and the upper half of word k. keep is exact to 2^-17. */
  void (*dropout)(df_real *y, const df_real *x, double keep, df_int first, df_int n,
                  const df_random *key);

  /* -- rows.h: products of reals ----------------------------------------------------- */
  /* y (m x K, row pitch ldy) = bias[k] + add + sum over taps t and channels c of
  **   x[m ldx + tap[t] + c] * W[t][c][k]
  ** W is packed by pack_weights. bias and add (pitch ldadd) may be NULL. With
  ** `accumulate` the result is added to y. Each y[m][k] is summed over t, then c, in this
  ** order. All offsets count elements. */
  void (*rows)(df_real *y, df_int ldy, const df_real *x, df_int ldx, const df_int *tap,
               df_int taps, const df_real *packed, const df_real *bias,
               const df_real *add, df_int ldadd, bool accumulate, df_int m, df_int C,
               df_int K);
  /* y (m x K, pitch ldy) = sum over c of x[c ldx + m] * W[c][k], W packed as above; with
  ** `accumulate` the result is added to y */
  void (*rows_turned)(df_real *y, df_int ldy, const df_real *x, df_int ldx,
                      const df_real *packed, bool accumulate, df_int m, df_int C,
                      df_int K);
  /* m columns of x (C rows, pitch ldx) in strips of `height`, the rows of a register
  ** block. Column i of row c is at y[i / height height C + c height + i % height]. The
  ** last strip's rest is not written. rows_turned reads a strip with ldx = height. */
  void (*copy_strips)(df_real *y, const df_real *x, df_int ldx, df_int C, df_int m);
  df_int height;
  df_int panel; /* columns of a panel of packed weights */
  /* packed: ceil(K/panel) panels of taps x C x panel, with zeros after column K; element
  ** (t, c, k) of the source is w[t st + c sc + k sk] */
  void (*pack_weights)(df_real *packed, const df_real *w, df_int taps, df_int st,
                       df_int C, df_int sc, df_int K, df_int sk);

  /* -- attend.h: attention; tiles are m x panel, dense ------------------------------- */
  /* Strips are a few of m rows of C each, whose columns are adjacent. Element (r, c) of
  ** the source is x[r sr + c sc], and one of sr and sc is 1. */
  void (*pack_strips)(df_real *strips, const df_real *x, df_int sr, df_int sc, df_int m,
                      df_int C);
  /* y (m x panel) = or += x w. x is strips of m rows of `pitch`, of which the first C
  ** columns are read.   w: C x panel */
  void (*strips)(df_real *y, const df_real *x, df_int pitch, const df_real *w,
                 bool accumulate, df_int m, df_int C);
  /* y = 2^e with the exponents e of df_scores, 0 for e < -126.5. most[c] becomes the
  ** largest exponent of the column, if it is not larger, and total[c] gets the column's
  ** powers added. */
  void (*score_powers)(const df_scores *s, df_real *most, df_real *total);
  /* y = 2^e share[c] */
  void (*score_again)(const df_scores *s, const df_real *share);
  /* y = e p; p is a tile as y */
  void (*score_slopes)(const df_scores *s, const df_real *p);
  /* y[r] = sum over C columns of a[r lda + c] b[r ldb + c] */
  void (*dot_rows)(df_real *y, const df_real *a, df_int lda, const df_real *b, df_int ldb,
                   df_int rows, df_int C);
  /* y (m x K, pitch ldy) += x W. x is `parts` tiles, `step` apart, side by side. W is
  ** parts panel x K, packed by pack_weights. */
  void (*add_panels)(df_real *y, df_int ldy, const df_real *x, df_int step, df_int parts,
                     const df_real *packed, df_int m, df_int K);

  /* -- pairs.h, tiles.h, planes.h: products of bf16 ---------------------------------- */
  /* A real x is split into planes of bf16: x rounded (half to even), and optionally the
  ** rounding error of that, also rounded. */

  /* y[m][k] = sum over taps t, then channels c, of x[m][t][c] W[t][c][k] + bias[k] +
  ** add. bias and add may be NULL; with `accumulate` the result is added to y. With
  ** low planes x W is high high + high low + low high; the rest is about 2^-16 of it.
  ** Subnormal operands and sums may count as 0. Up to DF_BEHIND rows of x after the
  ** last are read. */
  void (*pairs)(const df_pairs *p);
  df_int pairs_step; /* 2, or 32 */
  int pairs_pay; /* `pairs` is faster than `rows` with up to this many planes: 0, 1, 2 */

  /* y[r][c] = x[r][c], with pitch ldy, and zeros for C <= c < wide; the low plane begins
  ** at y + low, and low == 0 means no low plane */
  void (*planes)(uint16_t *y, df_int ldy, df_int low, const df_real *x, df_int ldx,
                 df_int rows, df_int C, df_int wide);
  /* As planes, but transposed: y[c][r] for c < C and r < rows; nothing else is written */
  void (*turn_planes)(uint16_t *y, df_int ldy, df_int low, const df_real *x, df_int ldx,
                      df_int rows, df_int C);
  /* Panels of W[r][c] = x[r][c]: element (r, c) is at
  **   w[c / 32 panel + (r / 2 32 + c % 32) 2 + r % 2]
  ** with zeros up to `tall` rows (even) and up to full panels. */
  void (*pair_rows)(uint16_t *w, df_int panel, df_int low, const df_real *x, df_int ldx,
                    df_int rows, df_int C, df_int tall);
  /* As pair_rows, for W[r][c] = x[c][r]: x is C rows of `rows` reals */
  void (*pair_columns)(uint16_t *w, df_int panel, df_int low, const df_real *x,
                       df_int ldx, df_int rows, df_int C, df_int tall);
  /* As pair_rows, from one plane of bf16; C is a multiple of 32 */
  void (*pair_planes)(uint16_t *w, df_int panel, const uint16_t *x, df_int ldx,
                      df_int rows, df_int C, df_int tall);

  /* -- winograd.h: F(4 x 4, 3 x 3), with the matrices A, B, G defined there ---------- */
  /* Each of n channels is independent. The values at the 36 points are `plane` apart, and
  ** the 9 taps of weights are `tap` apart. A tile's pixels are given by 36 or 16 pointers
  ** or offsets.
  **   v = B^T x B from 6 x 6 pixels */
  void (*winograd_inputs)(df_real *v, df_int plane, const df_real *const *x, df_int n);
  /* u = G w G^T; w may be the last 9 planes of u */
  void (*winograd_weights)(df_real *u, df_int plane, const df_real *w, df_int tap,
                           df_int n);
  /* The points 6 row ... 6 row + 5 of u alone, in the first 6 planes. */
  void (*winograd_weights_row)(df_real *u, df_int plane, int row, const df_real *w,
                               df_int tap, df_int n);
  /* m = or += v . u at the points 6 row ... 6 row + 5, with u = G w G^T. Sums over the
  ** channels have the bits of `rows` with u from winograd_weights_row. */
  void (*winograd_few)(const df_winograd_few *f, int row);
  int few_tiles;
  /* y[at[q]...] = A^T m A + bias + add[at[q]...]; bias and add may be NULL; with
  ** `accumulate` the result is added to y; a pixel with at[q] == -1 is not written */
  void (*winograd_outputs)(df_real *y, const df_int *at, const df_real *m, df_int plane,
                           const df_real *bias, const df_real *add, bool accumulate,
                           df_int n);
  /* z = A dy A^T from 4 x 4 pixels */
  void (*winograd_outputs_back)(df_real *z, df_int plane, const df_real *const *dy,
                                df_int n);
  /* dw = G^T s G */
  void (*winograd_weights_back)(df_real *dw, df_int tap, const df_real *s, df_int plane,
                                df_int n);

  /* F(2 x 4, 3 x 3), in 24 points.
  **   v = B^T x B from 4 x 6 pixels, in bf16; zeros for channels n <= c < wide */
  void (*short_inputs)(uint16_t *v, df_int plane, const df_real *const *x, df_int n,
                       df_int wide);
  /* The points 6 row ... 6 row + 5 of u = G w G^T in the first 6 planes. u and the 9 taps
  ** are n pairs, a multiple of DF_PANEL; plane and tap count halves of pairs. */
  void (*short_weights)(uint16_t *u, df_int plane, int row, const uint16_t *w, df_int tap,
                        df_int n);
  /* as winograd_outputs, for 2 x 4 pixels */
  void (*short_outputs)(df_real *y, const df_int *at, const df_real *m, df_int plane,
                        const df_real *bias, const df_real *add, bool accumulate,
                        df_int n);

  /* -- pack.h ----------------------------------------------------------------------- */
  void (*round_bf16)(df_real *y, const df_real *x,
                     df_int n); /* round to 8 bits, half to even; in place */
  /* y (C x rows, pitch ldy) = transpose of x (rows x C, pitch ldx) */
  void (*transpose)(df_real *y, df_int ldy, const df_real *x, df_int ldx, df_int rows,
                    df_int C);
  void (*from_f32)(df_real *y, const float *x, df_int n);
  void (*from_f64)(df_real *y, const double *x, df_int n);
  void (*from_f16)(df_real *y, const uint16_t *x, df_int n);
  void (*from_bf16)(df_real *y, const uint16_t *x, df_int n);
  void (*from_u8)(df_real *y, const uint8_t *x, df_int n);
  void (*from_i64)(df_real *y, const int64_t *x, df_int n);
  void (*to_f32)(float *y, const df_real *x, df_int n);
  void (*to_f64)(double *y, const df_real *x, df_int n);
  void (*to_f16)(uint16_t *y, const df_real *x, df_int n);  /* half to even */
  void (*to_bf16)(uint16_t *y, const df_real *x, df_int n); /* half to even */
  void (*to_u8)(uint8_t *y, const df_real *x, df_int n);    /* rounded, clamped 0..255 */
  void (*to_i64)(int64_t *y, const df_real *x, df_int n);   /* truncated */
  /* y = x / 127.5 - 1: bytes of an image as floats in [-1, 1] */
  void (*image_from_u8)(df_real *y, const uint8_t *x, df_int n);

  /* -- blocks.h --------------------------------------------------------------------- */
  /* y = elements [first, first + n) of ggml's blocks from x on, at any address */
  void (*from_q8_0)(df_real *y, const uint8_t *x, df_int first, df_int n);
  void (*from_q4_0)(df_real *y, const uint8_t *x, df_int first, df_int n);
  void (*from_q4_1)(df_real *y, const uint8_t *x, df_int first, df_int n);
  void (*from_q5_0)(df_real *y, const uint8_t *x, df_int first, df_int n);
  void (*from_q5_1)(df_real *y, const uint8_t *x, df_int first, df_int n);

  /* -- update.h --------------------------------------------------------------------- */
  /* AdamW (Loshchilov & Hutter 2019, alg. 2) and the weight average in one pass:
  **   g' = scale g;  m = b1 m + (1-b1) g';  v = b2 v + (1-b2) g'^2
  **   w -= lr (m correct1 / (sqrt(v correct2) + tiny) + decay w)
  **   average = ema average + (1 - ema) w, unless average is NULL */
  void (*adamw)(df_real *w, const df_real *g, df_real *m, df_real *v, df_real *average,
                const df_update *u, df_int n);
} df_kernels;

/* The table in use, with every entry set: the one named by DIFFUSION_ISA, else the best
** that the processor and the OS allow. An unknown name gives the best table here, since
** df_kernels_choose(NULL) reports it at start. */
const df_kernels *df_kernel(void);

/* Chooses a table by name; NULL means DIFFUSION_ISA, else the best. Returns DF_MISUSE
** with a sentence that lists the tables of this machine. core64 has only scalar and
** ignores DIFFUSION_ISA. */
int df_kernels_choose(const char *name);

/* Names of the tables that this machine can run, scalar first; NULL ends the list. */
const char *const *df_kernels_names(void);

#endif
