/* Group normalisation with the activation and the dropout that follow it. An image goes
** through the stages of stages.h: moments of its channels, coefficients of its channels,
** the result. The backward pass has the same stages; the last one writes dx. */
#include <math.h>

#include "base/alloc.h"
#include "kernels/kernels.h"
#include "ops/act.h"
#include "ops/operand.h"
#include "ops/parts.h"
#include "ops/stages.h"

/* The coefficients of one image's channels: C each. */
typedef enum row { CENTRE, SCALE, SHIFT, SLOPE, CONSTANT } row;
#define ROWS 5

typedef struct norm {
  df_norm_opts opts;
  df_act_kernels act;
  df_random key; /* keys the dropout */
  df_stages s;
  const df_real *x, *w, *b; /* B, P, C and C; w and b may be NULL */
  const df_real *e;         /* B, C, added to each pixel of x; or NULL */
  const df_real *m;         /* B, 2 C: scale and shift of a sample's channels; or NULL */
  df_real *mean, *rest;     /* B, G: the mean is their sum, as its digits may be many */
  df_real *rstd;            /* B, G */
  df_real *off;             /* with e: B, C, of a channel's mean from its group's */
  df_real *y;               /* dense; or NULL, and the result is: */
  df_operand operand;       /* the next convolution reads it */
  const df_real *dy;
  df_real *dx, beta, *de, de_beta;
} norm;

static df_int place(const norm *n, const df_stage_part *part, const df_stage_block *k) {
  return (part->image * n->s.P + k->pixel) * n->s.C + k->c;
}

static df_real *table(const norm *n, df_int image, row which, df_int c) {
  return n->s.table + (image * ROWS + (df_int)which) * n->s.C + c;
}

/* ==== forward =======================================================================
**   z = x + e           e is added to all pixels of a channel, and moves only its mean
**   h = (z - m) rstd    m and s2: mean, variance of z over a group
**                       rstd = 1 / sqrt(s2 + tiny)
**   y = dropout(act((h w + b) (1 + s) + t)), where s and t are the halves of m */

/* The centre of a channel, about which its sums are taken, is a guess of its mean: the
** middle one of three pixels. One outlier among them doesn't move it. */
static void guess_centres(void *op, df_int image) {
  const norm *n = op;
  df_int P = n->s.P, C = n->s.C;
  const df_real *x = n->x + image * P * C, *a = x + P / 4 * C, *b = x + P / 2 * C,
                *c = x + P * 3 / 4 * C;
  df_real *centre = table(n, image, CENTRE, 0);
  for (df_int i = 0; i < C; i++) {
    df_real low = a[i] < b[i] ? a[i] : b[i], high = a[i] < b[i] ? b[i] : a[i];
    centre[i] = c[i] < low ? low : c[i] > high ? high : c[i];
  }
}

/* Sums of x - centre and of its square. */
static void gather_moments(void *op, const df_stage_part *part) {
  const norm *n = op;
  df_int C = n->s.C;
  const df_real *centre = table(n, part->image, CENTRE, 0);
  const df_real *first = n->x + part->image * n->s.P * C;
  df_real *run = df_stage_run_sums(&n->s, part->image, part->part);
  df_stage_clear(&n->s, part);
  for (df_int at = part->from; at < part->to; at += DF_STAGE_RUN) {
    df_kernel()->moments(run, run + C, first + at * C, centre,
                         df_min(DF_STAGE_RUN, part->to - at), C);
    df_stage_flush(&n->s, part);
  }
}

static double added(const norm *n, df_int image, df_int c) {
  return n->e ? (double)n->e[image * n->s.C + c] : 0;
}

/* Mean and variance of channels [c, end): the spread within each channel, and between
** their means. */
static double group_variance(const norm *n, df_int image, const double *s, df_int c,
                             df_int end, double *mean) {
  const df_real *centre = table(n, image, CENTRE, 0);
  double P = (double)n->s.P, share = 1 / P, total = 0, spread = 0;
  for (df_int i = c; i < end; i++)
    total += (double)centre[i] + added(n, image, i) + s[i] * share;
  *mean = total / (double)(end - c);
  for (df_int i = c; i < end; i++) {
    double off = (double)centre[i] + added(n, image, i) + s[i] * share - *mean;
    spread += s[n->s.C + i] - s[i] * s[i] * share + P * off * off;
    if (n->off) n->off[image * n->s.C + i] = (df_real)off;
  }
  return fmax(spread, 0) / (P * (double)(end - c));
}

/* m - e: what the group's mean is in terms of x. */
static double mean_in_x(const norm *n, df_int image, df_int g, df_int c) {
  df_int at = image * n->opts.groups + g;
  return (double)n->mean[at] + (double)n->rest[at] - added(n, image, c);
}

/* The factor of channel c in a sample: 1 + s. */
static double scaled(const norm *n, df_int image, df_int c) {
  return n->m ? 1 + (double)n->m[image * 2 * n->s.C + c] : 1;
}

static double weight(const norm *n, df_int c) { return n->w ? (double)n->w[c] : 1; }
static double bias(const norm *n, df_int c) { return n->b ? (double)n->b[c] : 0; }

/* b (1 + s) + t */
static double level(const norm *n, df_int image, df_int c) {
  if (!n->m) return bias(n, c);
  return bias(n, c) * scaled(n, image, c) + (double)n->m[(image * 2 + 1) * n->s.C + c];
}

static double gain(const norm *n, df_int image, df_int c) {
  return weight(n, c) * scaled(n, image, c);
}

/* h w + b, scaled and shifted, is (x - centre) scale + shift. `centre` is the mean
** rounded to a real; `shift` holds only the rounding error, so little is lost by
** cancellation. */
static void fill_group(const norm *n, df_int image, df_int g) {
  df_int D = n->s.C / n->opts.groups, first = g * D;
  df_real *centre = table(n, image, CENTRE, first),
          *scales = table(n, image, SCALE, first), *shift = table(n, image, SHIFT, first);
  double rstd = (double)n->rstd[image * n->opts.groups + g];
  for (df_int c = 0; c < D; c++) {
    double scale = gain(n, image, first + c) * rstd;
    double b = level(n, image, first + c);
    double mean = mean_in_x(n, image, g, first + c);
    centre[c] = (df_real)mean;
    scales[c] = (df_real)scale;
    shift[c] = (df_real)(b - (mean - (double)centre[c]) * scale);
  }
}

static void fill_table(void *op, df_int image) {
  const norm *n = op;
  for (df_int g = 0; g < n->opts.groups; g++) fill_group(n, image, g);
}

#define FAR 4 /* standard deviations: a centre further off costs two digits of the sums */

/* Moves centres that are far from the mean of their channel to that mean. True if one
** moved: the sums must be taken again. */
static bool recentre(const norm *n, df_int image, const double *s) {
  df_real *centre = table(n, image, CENTRE, 0);
  double P = (double)n->s.P;
  bool any = false;
  for (df_int c = 0; c < n->s.C; c++) {
    double off = s[c] / P, spread = s[n->s.C + c] / P - off * off;
    if (!(off * off > FAR * FAR * spread)) continue;
    df_real mean = (df_real)((double)centre[c] + off);
    any |= mean != centre[c];
    centre[c] = mean;
  }
  return any;
}

static const double *moments_of(norm *n, df_int image) {
  const double *s = df_stage_fold(&n->s, image);
  if (!recentre(n, image, s)) return s;
  for (df_int i = 0; i < n->s.parts; i++) {
    df_stage_part part = df_stage_part_of(&n->s, image, i);
    gather_moments(n, &part);
  }
  return df_stage_fold(&n->s, image);
}

static void settle_moments(void *op, df_int image) {
  norm *n = op;
  df_int G = n->opts.groups, D = n->s.C / G;
  const double *s = moments_of(n, image);
  for (df_int g = 0; g < G; g++) {
    double mean, v = group_variance(n, image, s, g * D, (g + 1) * D, &mean);
    n->mean[image * G + g] = (df_real)mean;
    n->rest[image * G + g] = (df_real)(mean - (double)(df_real)mean);
    n->rstd[image * G + g] = (df_real)(1 / sqrt(v + n->opts.tiny));
  }
  fill_table(n, image);
}

/* z = h w + b of a block. */
static void scale_block(const norm *n, const df_stage_part *part, const df_stage_block *k,
                        df_real *z) {
  df_kernel()->norm_rows(z, n->x + place(n, part, k), table(n, part->image, CENTRE, k->c),
                         table(n, part->image, SCALE, k->c),
                         table(n, part->image, SHIFT, k->c), k->rows, k->cols);
}

static void drop_block(const norm *n, const df_stage_part *part, const df_stage_block *k,
                       df_real *y, const df_real *x) {
  df_random key = n->key;
  key.sample += (uint32_t)part->image;
  df_kernel()->dropout(y, x, n->opts.keep, k->pixel * n->s.C + k->c, k->rows * k->cols,
                       &key);
}

static void apply_block(void *op, const df_stage_part *part, const df_stage_block *k) {
  const norm *n = op;
  df_real own[DF_STAGE_BLOCK], *y = n->y ? n->y + place(n, part, k) : own;
  scale_block(n, part, k, y);
  if (n->act.f) n->act.f(y, y, k->rows * k->cols);
  if (n->opts.keep < 1) drop_block(n, part, k, y, y);
  if (!n->y)
    df_operand_put(&n->operand, part->image, k->pixel, k->rows, k->c, k->cols, y);
}

static void apply_part(void *op, const df_stage_part *part) {
  const norm *n = op;
  df_stage_each(&n->s, op, part, apply_block);
}

/* ==== backward ======================================================================
** With g = w (1 + s) and z = h g + b (1 + s) + t from here on, y = dropout(act(z)):
**   dz = act'(z) dropout(dy), which drops what the forward pass dropped
**   dw = sum(dz h (1 + s)), db = sum(dz (1 + s))           over images and pixels
**   ds = w sum(dz h) + b sum(dz), dt = sum(dz)             over pixels
**   dx = rstd (dz g - mean(dz g) - h mean(dz g h))         means over the group
**   de = sum(dx)                                           over pixels
** h = (x - centre - rest) rstd, where rest is what `centre` lost of the mean. Hence
**   dx = dz scale + (x - centre) slope + constant
** with  scale    = rstd g
**       slope    = -rstd^2 mean(dz g h)
**       constant = -rstd mean(dz g) - rest slope
** The sum of h over pixels is P rstd off, off being how far the channel's mean of x + e
** is from m. Hence de = rstd g sum(dz) + P (slope off - rstd mean(dz g)). */

/* dz in `to`, or dy itself where neither activation nor dropout follows. */
static const df_real *undo_block(const norm *n, const df_stage_part *part,
                                 const df_stage_block *k, df_real *to) {
  df_real z[DF_STAGE_BLOCK];
  const df_real *g = n->dy + place(n, part, k);
  if (n->opts.keep < 1) {
    drop_block(n, part, k, to, g);
    g = to;
  }
  if (!n->act.f) return g;
  scale_block(n, part, k, z);
  if (n->act.keeps_y) n->act.f(z, z, k->rows * k->cols);
  n->act.back(to, 0, g, z, k->rows * k->cols);
  return to;
}

static bool makes_dz(const norm *n) { return n->act.f || n->opts.keep < 1; }

/* The place where dz stays between the two passes. NULL: it is computed twice, which is
** most of the work (three quarters with silu, more with dropout). If dx is written rather
** than added to, dz stays in dx. */
static df_real *dz_held(const norm *n, const df_stage_part *part,
                        const df_stage_block *k) {
  if (!n->dx || !makes_dz(n)) return NULL;
  if (n->beta == 0) return n->dx + place(n, part, k);
  return part->room ? part->room + k->pixel * n->s.C + k->c : NULL;
}

/* Sums of dz and dz (x - centre). */
static void gather_back_block(void *op, const df_stage_part *part,
                              const df_stage_block *k) {
  const norm *n = op;
  const df_stages *s = &n->s;
  df_real own[DF_STAGE_BLOCK], *held = dz_held(n, part, k);
  df_real *run = df_stage_run_sums(s, part->image, part->part) + k->c;
  const df_real *dz = undo_block(n, part, k, held ? held : own);
  df_kernel()->norm_back_moments(run, run + s->C, dz, n->x + place(n, part, k),
                                 table(n, part->image, CENTRE, k->c), k->rows, k->cols);
  df_int done = (k->pixel - part->from) / s->rows + 1; /* blocks of this part */
  if (k->c + k->cols == s->C && done % df_max(DF_STAGE_RUN / s->rows, 1) == 0)
    df_stage_flush(s, part);
}

static void gather_back(void *op, const df_stage_part *part) {
  const norm *n = op;
  df_stage_clear(&n->s, part);
  df_stage_each(&n->s, op, part, gather_back_block);
  df_stage_flush(&n->s, part);
}

/* The rounding error of `centre`. */
static double rest_of(const norm *n, df_int image, df_int g, df_int c) {
  return mean_in_x(n, image, g, c) - (double)*table(n, image, CENTRE, c);
}

/* The coefficients of dx, and de. `a` and `b` are the group's sums of dz g and dz g h. */
static void fill_slopes(const norm *n, df_int image, df_int g, double a, double b) {
  df_int D = n->s.C / n->opts.groups;
  double rstd = (double)n->rstd[image * n->opts.groups + g], P = (double)n->s.P;
  double slope = -rstd * rstd * b / (P * (double)D);
  double constant = -rstd * a / (P * (double)D);
  const double *s = df_stage_sums(&n->s, image, 0);
  for (df_int c = g * D; c < (g + 1) * D; c++) {
    *table(n, image, SLOPE, c) = (df_real)slope;
    *table(n, image, CONSTANT, c) = (df_real)(constant - rest_of(n, image, g, c) * slope);
    if (!n->de) continue;
    df_int at = image * n->s.C + c;
    double de =
        rstd * gain(n, image, c) * s[c] + P * (slope * (double)n->off[at] + constant);
    n->de[at] = (df_real)(n->de_beta != 0 ? (double)n->de[at] + de : de);
  }
}

/* The second sums become those of dz h. */
static void settle_back(void *op, df_int image) {
  norm *n = op;
  df_int G = n->opts.groups, D = n->s.C / G;
  double *s = df_stage_fold(&n->s, image), *sh = s + n->s.C;
  for (df_int g = 0; g < G; g++) {
    double rstd = (double)n->rstd[image * G + g], a = 0, b = 0;
    for (df_int c = g * D; c < (g + 1) * D; c++) {
      sh[c] = rstd * (sh[c] - rest_of(n, image, g, c) * s[c]);
      a += gain(n, image, c) * s[c], b += gain(n, image, c) * sh[c];
    }
    fill_slopes(n, image, g, a, b);
  }
}

static void apply_back_block(void *op, const df_stage_part *part,
                             const df_stage_block *k) {
  const norm *n = op;
  df_real own[DF_STAGE_BLOCK], *held = dz_held(n, part, k);
  const df_real *dz = held ? held : undo_block(n, part, k, own);
  df_int i = part->image;
  df_kernel()->norm_back_rows(n->dx + place(n, part, k), n->beta, dz,
                              n->x + place(n, part, k), table(n, i, CENTRE, k->c),
                              table(n, i, SCALE, k->c), table(n, i, SLOPE, k->c),
                              table(n, i, CONSTANT, k->c), k->rows, k->cols);
}

static void apply_back(void *op, const df_stage_part *part) {
  const norm *n = op;
  if (n->dx) df_stage_each(&n->s, op, part, apply_back_block);
}

static void take(const df_sink *s, df_int at, double value) {
  if (s->beta != 0) value += (double)(s->beta * s->to[at]);
  s->to[at] = (df_real)value;
}

/* dw (which 1) or db (which 0): the sums of a part's images, in order. */
typedef struct images {
  const norm *n;
  int which;
  df_int count; /* images in a part */
} images;

static df_code sum_images(void *context, int part, df_real *to, df_real beta) {
  const images *of = context;
  const norm *n = of->n;
  const df_int first = part * of->count, C = n->s.C;
  for (df_int c = 0; c < C; c++) {
    double total = 0;
    for (df_int i = first; i < first + of->count; i++)
      total += scaled(n, i, c) * df_stage_sums(&n->s, i, 0)[of->which * C + c];
    take(&(df_sink){ to, beta }, c, total);
  }
  return DF_OK;
}

static df_code to_affine(const norm *n, df_node *node, int operand, int which) {
  images of = { n, which, n->s.B / df_sink_parts(node, operand) };
  return df_sink_by_parts(node, operand, sum_images, &of);
}

/* ds and dt of each image. */
static df_code modulation_back(const norm *n, df_node *node, int operand) {
  const df_int C = n->s.C;
  df_sink s;
  if (df_sink_open(node, operand, &s) != DF_OK) return df_error_code();
  for (df_int i = 0; s.to && i < n->s.B; i++) {
    const double *sum = df_stage_sums(&n->s, i, 0);
    for (df_int c = 0; c < C; c++) {
      take(&s, i * 2 * C + c, weight(n, c) * sum[C + c] + bias(n, c) * sum[c]);
      take(&s, (i * 2 + 1) * C + c, sum[c]);
    }
  }
  return DF_OK;
}

/* ==== the node ====================================================================== */

/* Tensors; those before STATISTICS are the operands. */
enum { X, WEIGHT, BIAS, ADDED, MODULATION, STATISTICS, KEPT };

/* The node's own numbers. All else follows from the tensors. */
typedef struct kept {
  df_norm_opts opts;
  df_random key;
} kept;

static const df_real *reals_of(const df_tensor *x) {
  return x ? df_tensor_reals(x) : NULL;
}

static norm norm_of(df_tensor *const *of, const kept *k) {
  const df_shape *shape = &of[X]->shape;
  df_int B = shape->size[0], C = shape->size[shape->ndim - 1],
         groups = B * k->opts.groups;
  norm n = { .opts = k->opts, .key = k->key, .act = df_act_kernels_of(k->opts.act) };
  n.s = df_stages_of(B, df_tensor_count(of[X]) / B / C, C);
  n.x = reals_of(of[X]), n.e = reals_of(of[ADDED]), n.m = reals_of(of[MODULATION]);
  n.w = reals_of(of[WEIGHT]), n.b = reals_of(of[BIAS]);
  n.mean = df_tensor_reals(of[STATISTICS]);
  n.rest = n.mean + groups, n.rstd = n.rest + groups;
  n.off = n.e ? n.rstd + groups : NULL;
  return n;
}

static df_code group_norm_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  static const df_stage_work back = { fill_table, gather_back, settle_back, apply_back };
  (void)tape;
  norm n = norm_of(node->keep, node->data);
  df_sink x, e;
  /* e first: it arrives first, and may be x itself */
  if (df_sink_open(node, ADDED, &e) != DF_OK || df_sink_open(node, X, &x) != DF_OK)
    return df_error_code();
  n.dy = df_tensor_reals(dy), n.dx = x.to, n.beta = x.beta;
  n.de = e.to, n.de_beta = e.beta;
  bool apart = n.dx && n.beta != 0 && makes_dz(&n); /* dz can't stay in dx */
  if (!df_stages_open(&n.s, ROWS)) return DF_MEMORY;
  df_stages_run(&n.s, &back, &n, apart ? n.s.P * n.s.C : 0);
  df_code code = to_affine(&n, node, WEIGHT, 1);
  if (code == DF_OK) code = to_affine(&n, node, BIAS, 0);
  if (code == DF_OK) code = modulation_back(&n, node, MODULATION);
  df_stages_close(&n.s);
  return code;
}

/* ==== the result ==================================================================== */

static df_tensor *of_form(df_tape *tape, const df_shape *shape, df_form form) {
  return form == DF_ROWS ? df_result(tape, shape) : df_operand_new(tape, shape, form);
}

/* Runs stages that write the result into y; returns y, or NULL: no memory. */
static df_tensor *write_to(df_tensor *y, norm *n, const df_stage_work *work) {
  if (!df_stages_open(&n->s, ROWS)) return NULL;
  if (y->form == DF_ROWS) n->y = df_tensor_reals(y);
  else n->operand = df_operand_of(y);
  df_stages_run(&n->s, work, n, 0);
  df_stages_close(&n->s);
  return y;
}

/* The last stage alone. The result is as large as x, and mostly a convolution's operand:
** saving it too would double what a network saves. */
static df_tensor *group_norm_remake(df_tape *tape, df_node *node) {
  static const df_stage_work again = { fill_table, NULL, NULL, apply_part };
  norm n = norm_of(node->keep, node->data);
  df_tensor *y = of_form(tape, &node->keep[X]->shape, n.opts.form);
  return y ? write_to(y, &n, &again) : NULL;
}

/* ==== the op ======================================================================== */

static df_code check_channels(const char *what, const df_tensor *w, const df_tensor *x,
                              df_int C) {
  if (!w || (w->shape.ndim == 1 && w->shape.size[0] == C)) return DF_OK;
  return df_fail(DF_MISUSE, "group_norm: %s is %s but x %s has %td channels", what,
                 df_tensor_text(w), df_tensor_text(x), C);
}

/* An operand with `width` numbers a sample, if it isn't NULL. */
static df_code check_rows(const char *what, const df_tensor *rows, const df_tensor *x,
                          df_int width) {
  const df_shape each = { 2, { x->shape.size[0], width } };
  if (!rows || df_shape_equal(&rows->shape, &each)) return DF_OK;
  return df_fail(DF_MISUSE, "group_norm: %s is %s but x %s wants %s", what,
                 df_tensor_text(rows), df_tensor_text(x), df_shape_text(&each));
}

static df_code check(df_tensor *const *of, const df_norm_opts *opts) {
  const df_tensor *x = of[X];
  if (x->shape.ndim < 2 || df_tensor_count(x) == 0)
    return df_fail(DF_MISUSE, "group_norm: x must be [B,...,C] with elements, it is %s",
                   df_tensor_text(x));
  df_int C = x->shape.size[x->shape.ndim - 1];
  if (opts->groups < 1 || C % opts->groups)
    return df_fail(DF_MISUSE,
                   "group_norm: %td groups don't divide the %td channels of %s",
                   opts->groups, C, df_tensor_text(x));
  if (!(opts->tiny >= 0))
    return df_fail(DF_MISUSE, "group_norm: epsilon must be 0 or more, got %g",
                   opts->tiny);
  if (!(opts->keep >= 0 && opts->keep <= 1))
    return df_fail(DF_MISUSE, "group_norm: the share dropped must be in [0, 1], got %g",
                   1 - opts->keep);
  if (opts->form != DF_ROWS && x->shape.ndim != 4)
    return df_fail(DF_MISUSE, "group_norm: images are [B,H,W,C], x is %s",
                   df_tensor_text(x));
  df_code code = check_rows("add", of[ADDED], x, C);
  if (code == DF_OK) code = check_rows("modulate", of[MODULATION], x, 2 * C);
  if (code == DF_OK) code = check_channels("w", of[WEIGHT], x, C);
  return code == DF_OK ? check_channels("b", of[BIAS], x, C) : code;
}

static df_tensor *statistics_of(df_tape *tape, df_tensor *const *of, df_int groups) {
  const df_shape *x = &of[X]->shape;
  df_int size = 3 * x->size[0] * groups;
  if (of[ADDED]) size += x->size[0] * x->size[x->ndim - 1];
  return df_result(tape, &(df_shape){ 1, { size } });
}

df_tensor *df_group_norm(df_tape *tape, const df_normed *operands,
                         const df_norm_opts *opts) {
  static const df_op op = { "group_norm", group_norm_backward };
  static const df_stage_work forward = { guess_centres, gather_moments, settle_moments,
                                         apply_part };
  df_tensor *of[KEPT] = { [X] = operands->x,
                          [WEIGHT] = operands->w,
                          [BIAS] = operands->b,
                          [ADDED] = operands->e,
                          [MODULATION] = operands->m };
  if (!of[X] || !df_all_dense(tape, of, STATISTICS) || check(of, opts) != DF_OK)
    return NULL;
  df_tensor *y = of_form(tape, &of[X]->shape, opts->form);
  of[STATISTICS] = statistics_of(tape, of, opts->groups);
  if (!y || !of[STATISTICS]) return NULL;
  kept k = { .opts = *opts };
  if (opts->keep < 1) k.key = df_tape_draw(tape, DF_STREAM_DROPOUT);
  norm n = norm_of(of, &k);
  if (!write_to(y, &n, &forward)) return NULL;
  df_note note = { .op = &op, .n = STATISTICS, .x = of, .kept = KEPT, .keep = of };
  note.data = &k, note.size = sizeof k, note.remake = group_norm_remake;
  note.by_parts = 1u << WEIGHT | 1u << BIAS;
  return df_tape_note(tape, y, note);
}
