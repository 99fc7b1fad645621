/* Group normalisation with the silu and the dropout that follow it, block by block in
** cache. An image is worked in stages: sums over its parts, coefficients of its channels,
** and the result; the backward has the same, in which the last becomes dx. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "ops/planes.h"
#include "ops/sink.h"

#define BLOCK 2048        /* reals worked at a time, in cache */
#define PART  (8 * BLOCK) /* of a part, about */
#define RUN   64          /* pixels summed in reals before doubles take over */
#define WHOLE (4 * PART)  /* an image up to this size is worked by one thread */
#define FEW   4           /* unless there are fewer images than that */

typedef struct norm norm;

typedef struct stages { /* gather and settle may be NULL */
  void (*prepare)(const norm *n, df_int image);
  void (*gather)(norm *n, df_int image, df_int part);
  void (*settle)(norm *n, df_int image);
  void (*apply)(norm *n, df_int image, df_int part);
} stages;

/* The coefficients of one image's channels: C each. */
typedef enum row { CENTRE, SCALE, SHIFT, SLOPE, CONSTANT } row;
#define ROWS 5

struct norm {
  df_norm_opts opts;
  df_random key;     /* of the dropout */
  df_int B, P, C;    /* images, pixels of one, channels */
  df_int rows, cols; /* of a block: some rows of all channels, or a piece of one row */
  df_int span, parts;
  const stages *stages;
  const df_real *x, *w, *b; /* B, P, C and C; w and b may be NULL */
  const df_real *e;         /* B, C, added to each pixel of x; or NULL */
  df_real *mean, *rest;     /* B, G: the mean is their sum, as digits may be many */
  df_real *rstd;            /* B, G */
  df_real *off;             /* with e: B, C, of a channel's mean from its group's */
  df_real *y;               /* dense, or NULL: */
  df_operand operand;       /* what the next convolution reads */
  const df_real *dy;
  df_real *dx, beta, *de, de_beta;
  bool dz_apart;  /* dz has no place in dx */
  df_real *dz;    /* its own: P, C of the image that is worked; or NULL */
  double *sum;    /* B, parts, 2, C; part 0 ends as the image's sums */
  df_real *run;   /* the same of one run */
  df_real *table; /* B, ROWS, C */
};

/* ==== the cut ======================================================================= */

static void cut(norm *n) {
  df_int C = df_max(n->C, 1);
  n->rows = df_max(df_min(BLOCK / C, RUN), 1);
  n->cols = df_min(C, BLOCK);
  n->span = df_max(PART / (n->rows * C), 1) * n->rows;
  n->parts = df_max(df_ceil_div(n->P, n->span), 1);
}

/* One block: `rows` pixels from `pixel` on, `cols` channels from c on. */
typedef struct block {
  df_int image, pixel, rows, c, cols;
} block;

static df_int place(const norm *n, const block *k) {
  return (k->image * n->P + k->pixel) * n->C + k->c;
}

static df_real *table(const norm *n, df_int image, row which, df_int c) {
  return n->table + (image * ROWS + (df_int)which) * n->C + c;
}

static void walk(norm *n, df_int image, df_int part,
                 void (*work)(norm *, const block *)) {
  df_int end = df_min((part + 1) * n->span, n->P);
  block k = { .image = image };
  for (k.pixel = part * n->span; k.pixel < end; k.pixel += n->rows)
    for (k.c = 0; k.c < n->C; k.c += n->cols) {
      k.rows = df_min(n->rows, end - k.pixel);
      k.cols = df_min(n->cols, n->C - k.c);
      work(n, &k);
    }
}

static void prepare_images(void *context, df_int begin, df_int end) {
  const norm *n = context;
  for (df_int i = begin; i < end; i++) n->stages->prepare(n, i);
}

static void gather_parts(void *context, df_int begin, df_int end) {
  norm *n = context;
  for (df_int i = begin; n->stages->gather && i < end; i++)
    n->stages->gather(n, i / n->parts, i % n->parts);
}

static void settle_images(void *context, df_int begin, df_int end) {
  norm *n = context;
  for (df_int i = begin; n->stages->settle && i < end; i++) n->stages->settle(n, i);
}

static void apply_parts(void *context, df_int begin, df_int end) {
  norm *n = context;
  for (df_int i = begin; i < end; i++) n->stages->apply(n, i / n->parts, i % n->parts);
}

static void whole_image(norm *n, df_int i) {
  prepare_images(n, i, i + 1);
  gather_parts(n, i * n->parts, (i + 1) * n->parts);
  settle_images(n, i, i + 1);
  apply_parts(n, i * n->parts, (i + 1) * n->parts);
}

/* Room for dz is the chunk's own; without it dz is made twice. */
static void whole_images(void *context, df_int begin, df_int end) {
  norm mine = *(const norm *)context;
  if (mine.dz_apart) mine.dz = df_alloc((size_t)(mine.P * mine.C) * sizeof(df_real));
  for (df_int i = begin; i < end; i++) whole_image(&mine, i);
  df_free(mine.dz);
}

/* Both ways give the same bits: an image's sums are cut by its own shape. What is done once
** an image isn't worth the waking of threads where there are few. */
static void run(norm *n) {
  df_int size = n->P * n->C;
  if ((size <= WHOLE && n->B >= FEW) || n->B >= 16 || n->parts == 1) {
    df_parallel(n->B, df_max(PART / df_max(size, 1), 1), whole_images, n);
    return;
  }
  df_parallel(n->B, FEW, prepare_images, n);
  df_parallel(n->B * n->parts, 1, gather_parts, n);
  df_parallel(n->B, FEW, settle_images, n);
  df_parallel(n->B * n->parts, 1, apply_parts, n);
}

/* Room for sums and tables; false: memory. To be freed by df_free(n->sum). */
static bool workspace(norm *n) {
  size_t sums = (size_t)(n->B * n->parts * 2 * n->C), rows = (size_t)(n->B * n->C) * ROWS;
  n->sum = df_alloc(sums * (sizeof(double) + sizeof(df_real)) + rows * sizeof(df_real));
  if (!n->sum) return false;
  n->run = (void *)(n->sum + sums);
  n->table = n->run + sums;
  return true;
}

static double *sums(const norm *n, df_int image, df_int part) {
  return n->sum + (image * n->parts + part) * 2 * n->C;
}

static df_real *runs(const norm *n, df_int image, df_int part) {
  return n->run + (image * n->parts + part) * 2 * n->C;
}

static void clear(norm *n, df_int image, df_int part) {
  memset(sums(n, image, part), 0, (size_t)n->C * 2 * sizeof(double));
  memset(runs(n, image, part), 0, (size_t)n->C * 2 * sizeof(df_real));
}

/* Adds a run of reals to the part's doubles. */
static void flush(const norm *n, df_int image, df_int part) {
  double *sum = sums(n, image, part);
  df_real *run = runs(n, image, part);
  for (df_int i = 0; i < 2 * n->C; i++) sum[i] += (double)run[i], run[i] = 0;
}

static double *fold(norm *n, df_int image) {
  double *sum = sums(n, image, 0);
  for (df_int part = 1; part < n->parts; part++)
    for (df_int i = 0; i < 2 * n->C; i++) sum[i] += sums(n, image, part)[i];
  return sum;
}

/* ==== forward ======================================================================= */

/* Each channel's sums are about a guess of its mean: the middle one of three pixels, which
** a single pixel far off doesn't move. */
static void guess_centres(const norm *n, df_int image) {
  const df_real *x = n->x + image * n->P * n->C, *a = x + n->P / 4 * n->C,
                *b = x + n->P / 2 * n->C, *c = x + n->P * 3 / 4 * n->C;
  df_real *centre = table(n, image, CENTRE, 0);
  for (df_int i = 0; i < n->C; i++) {
    df_real low = a[i] < b[i] ? a[i] : b[i], high = a[i] < b[i] ? b[i] : a[i];
    centre[i] = c[i] < low ? low : c[i] > high ? high : c[i];
  }
}

/* Sums of x and x^2 about the centres. */
static void gather_moments(norm *n, df_int image, df_int part) {
  const df_real *centre = table(n, image, CENTRE, 0);
  const df_real *first = n->x + image * n->P * n->C;
  df_real *run = runs(n, image, part);
  df_int end = df_min((part + 1) * n->span, n->P);
  clear(n, image, part);
  for (df_int at = part * n->span; at < end; at += RUN) {
    df_kernel()->moments(run, run + n->C, first + at * n->C, centre,
                         df_min(RUN, end - at), n->C);
    flush(n, image, part);
  }
}

static double added(const norm *n, df_int image, df_int c) {
  return n->e ? (double)n->e[image * n->C + c] : 0;
}

/* Mean and variance of channels [c, end): within each channel, and between them. What is
** added to all pixels of a channel moves its mean alone. */
static double group_variance(const norm *n, df_int image, const double *s, df_int c,
                             df_int end, double *mean) {
  const df_real *centre = table(n, image, CENTRE, 0);
  double P = (double)n->P, share = 1 / P, total = 0, spread = 0;
  for (df_int i = c; i < end; i++)
    total += (double)centre[i] + added(n, image, i) + s[i] * share;
  *mean = total / (double)(end - c);
  for (df_int i = c; i < end; i++) {
    double off = (double)centre[i] + added(n, image, i) + s[i] * share - *mean;
    spread += s[n->C + i] - s[i] * s[i] * share + P * off * off;
    if (n->off) n->off[image * n->C + i] = (df_real)off;
  }
  return fmax(spread, 0) / (P * (double)(end - c));
}

/* Where x has a channel's group mean: that of x + e, less e. */
static double mean_in_x(const norm *n, df_int image, df_int g, df_int c) {
  df_int at = image * n->opts.groups + g;
  return (double)n->mean[at] + (double)n->rest[at] - added(n, image, c);
}

/* y = (x - centre) scale + shift. The centre is the mean's first digits, so no more than
** its others are in the shift. */
static void fill_group(const norm *n, df_int image, df_int g) {
  df_int D = n->C / n->opts.groups, first = g * D;
  df_real *centre = table(n, image, CENTRE, first),
          *scales = table(n, image, SCALE, first), *shift = table(n, image, SHIFT, first);
  double rstd = (double)n->rstd[image * n->opts.groups + g];
  for (df_int c = 0; c < D; c++) {
    double scale = n->w ? (double)n->w[first + c] * rstd : rstd;
    double b = n->b ? (double)n->b[first + c] : 0;
    double mean = mean_in_x(n, image, g, first + c);
    centre[c] = (df_real)mean;
    scales[c] = (df_real)scale;
    shift[c] = (df_real)(b - (mean - (double)centre[c]) * scale);
  }
}

static void fill_table(const norm *n, df_int image) {
  for (df_int g = 0; g < n->opts.groups; g++) fill_group(n, image, g);
}

#define FAR 4 /* standard deviations: beyond it sums about a centre lose two digits */

/* Where pixels far off have misled the guess, sums about it have lost digits: the mean that
** they say becomes the centre. True if there was such a channel. */
static bool recentre(const norm *n, df_int image, const double *s) {
  df_real *centre = table(n, image, CENTRE, 0);
  double P = (double)n->P;
  bool any = false;
  for (df_int c = 0; c < n->C; c++) {
    double off = s[c] / P, spread = s[n->C + c] / P - off * off;
    if (!(off * off > FAR * FAR * spread)) continue;
    df_real mean = (df_real)((double)centre[c] + off);
    any |= mean != centre[c];
    centre[c] = mean;
  }
  return any;
}

static const double *moments_of(norm *n, df_int image) {
  const double *s = fold(n, image);
  if (!recentre(n, image, s)) return s;
  for (df_int part = 0; part < n->parts; part++) gather_moments(n, image, part);
  return fold(n, image);
}

static void settle_moments(norm *n, df_int image) {
  df_int G = n->opts.groups, D = n->C / G;
  const double *s = moments_of(n, image);
  for (df_int g = 0; g < G; g++) {
    double mean, v = group_variance(n, image, s, g * D, (g + 1) * D, &mean);
    n->mean[image * G + g] = (df_real)mean;
    n->rest[image * G + g] = (df_real)(mean - (double)(df_real)mean);
    n->rstd[image * G + g] = (df_real)(1 / sqrt(v + n->opts.tiny));
  }
  fill_table(n, image);
}

static df_random image_key(const norm *n, df_int image) {
  df_random key = n->key;
  key.sample += (uint32_t)image;
  return key;
}

static void apply_block(norm *n, const block *k) {
  const df_kernels *kernel = df_kernel();
  df_real own[BLOCK], *y = n->y ? n->y + place(n, k) : own;
  df_int count = k->rows * k->cols;
  kernel->norm_rows(y, n->x + place(n, k), table(n, k->image, CENTRE, k->c),
                    table(n, k->image, SCALE, k->c), table(n, k->image, SHIFT, k->c),
                    k->rows, k->cols);
  if (n->opts.silu) kernel->silu(y, y, count);
  if (n->opts.keep < 1) {
    df_random key = image_key(n, k->image);
    kernel->dropout(y, y, n->opts.keep, k->pixel * n->C + k->c, count, &key);
  }
  if (!n->y) df_operand_put(&n->operand, k->image, k->pixel, k->rows, k->c, k->cols, y);
}

static void apply_part(norm *n, df_int image, df_int part) {
  walk(n, image, part, apply_block);
}

/* ==== backward ====================================================================== */

/* With h the normalised x and z = h w + b: dz, from dy through dropout and silu, in `to`,
** or dy itself where nothing follows. */
static const df_real *undo_block(const norm *n, const block *k, df_real *to) {
  const df_kernels *kernel = df_kernel();
  df_real z[BLOCK];
  const df_real *g = n->dy + place(n, k);
  df_int count = k->rows * k->cols;
  if (n->opts.keep < 1) {
    df_random key = image_key(n, k->image);
    df_int first = k->pixel * n->C + k->c;
    kernel->dropout(to, g, n->opts.keep, first, count, &key);
    g = to;
  }
  if (!n->opts.silu) return g;
  kernel->norm_rows(z, n->x + place(n, k), table(n, k->image, CENTRE, k->c),
                    table(n, k->image, SCALE, k->c), table(n, k->image, SHIFT, k->c),
                    k->rows, k->cols);
  kernel->silu_back(to, 0, g, z, count);
  return to;
}

static bool makes_dz(const norm *n) { return n->opts.silu || n->opts.keep < 1; }

/* Where dz is held between the two passes, or NULL: making it is most of the work (three
** quarters of it with silu, more with dropout). Where dx is written first, not added to,
** that is in dx. */
static df_real *dz_held(const norm *n, const block *k) {
  if (!n->dx || !makes_dz(n)) return NULL;
  if (n->beta == 0) return n->dx + place(n, k);
  return n->dz ? n->dz + k->pixel * n->C + k->c : NULL;
}

/* Sums of dz and dz (x - centre). */
static void gather_back_block(norm *n, const block *k) {
  df_real own[BLOCK];
  df_int part = k->pixel / n->span;
  df_real *run = runs(n, k->image, part) + k->c;
  df_real *held = dz_held(n, k);
  const df_real *dz = undo_block(n, k, held ? held : own);
  df_kernel()->norm_back_moments(run, run + n->C, dz, n->x + place(n, k),
                                 table(n, k->image, CENTRE, k->c), k->rows, k->cols);
  df_int done = k->pixel % n->span / n->rows + 1; /* blocks of this part */
  if (k->c + k->cols == n->C && done % df_max(RUN / n->rows, 1) == 0)
    flush(n, k->image, part);
}

static void gather_back(norm *n, df_int image, df_int part) {
  clear(n, image, part);
  walk(n, image, part, gather_back_block);
  flush(n, image, part);
}

/* What the centre has left of a channel's mean. */
static double rest_of(const norm *n, df_int image, df_int g, df_int c) {
  return mean_in_x(n, image, g, c) - (double)*table(n, image, CENTRE, c);
}

static double weight(const norm *n, df_int c) { return n->w ? (double)n->w[c] : 1; }

/* dx = rstd (dz w - mean(dz w) - h mean(dz w h)), means over the group, with
** h = (x - centre - rest) rstd. `a` and `b` are the sums of dz w and dz w h. */
static void fill_slopes(const norm *n, df_int image, df_int g, double a, double b) {
  df_int D = n->C / n->opts.groups;
  double rstd = (double)n->rstd[image * n->opts.groups + g], size = (double)(n->P * D);
  double slope = -rstd * rstd * b / size, constant = -rstd * a / size;
  const double *s = sums(n, image, 0);
  for (df_int c = g * D; c < (g + 1) * D; c++) {
    *table(n, image, SLOPE, c) = (df_real)slope;
    *table(n, image, CONSTANT, c) = (df_real)(constant - rest_of(n, image, g, c) * slope);
    if (!n->de) continue;
    df_int at = image * n->C + c; /* de is the sum of dx over pixels */
    double de = rstd * weight(n, c) * s[c]
                + (double)n->P * (slope * (double)n->off[at] + constant);
    n->de[at] = (df_real)(n->de_beta != 0 ? (double)n->de[at] + de : de);
  }
}

/* The second sums become those of dz h, which dw is. */
static void settle_back(norm *n, df_int image) {
  df_int G = n->opts.groups, D = n->C / G;
  double *s = fold(n, image);
  for (df_int g = 0; g < G; g++) {
    double rstd = (double)n->rstd[image * G + g], a = 0, b = 0;
    for (df_int c = g * D; c < (g + 1) * D; c++) {
      s[n->C + c] = rstd * (s[n->C + c] - rest_of(n, image, g, c) * s[c]);
      a += weight(n, c) * s[c], b += weight(n, c) * s[n->C + c];
    }
    fill_slopes(n, image, g, a, b);
  }
}

static void apply_back_block(norm *n, const block *k) {
  df_real own[BLOCK], *dx = n->dx + place(n, k), *held = dz_held(n, k);
  const df_real *dz = held ? held : undo_block(n, k, own);
  df_kernel()->norm_back_rows(
      dx, n->beta, dz, n->x + place(n, k), table(n, k->image, CENTRE, k->c),
      table(n, k->image, SCALE, k->c), table(n, k->image, SLOPE, k->c),
      table(n, k->image, CONSTANT, k->c), k->rows, k->cols);
}

static void apply_back(norm *n, df_int image, df_int part) {
  if (n->dx) walk(n, image, part, apply_back_block);
}

/* dw (which 1) or db (which 0): over the batch in order */
static df_code sum_images(const norm *n, df_node *node, int operand, int which) {
  df_sink s;
  if (df_sink_open(node, operand, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  for (df_int c = 0; c < n->C; c++) {
    double total = 0;
    for (df_int i = 0; i < n->B; i++) total += sums(n, i, 0)[which * n->C + c];
    if (s.beta != 0) total += (double)(s.beta * s.to[c]);
    s.to[c] = (df_real)total;
  }
  return DF_OK;
}

static const df_real *reals_of(const df_tensor *x) {
  return x ? df_tensor_reals(x) : NULL;
}

/* What a node keeps; the first four are its operands. */
enum { X, WEIGHT, BIAS, ADDED, STATISTICS };

static void point(norm *n, df_tensor *const *keep) {
  df_int groups = n->B * n->opts.groups;
  n->x = reals_of(keep[X]), n->e = reals_of(keep[ADDED]);
  n->w = reals_of(keep[WEIGHT]), n->b = reals_of(keep[BIAS]);
  n->mean = df_tensor_reals(keep[STATISTICS]);
  n->rest = n->mean + groups, n->rstd = n->rest + groups;
  n->off = n->e ? n->rstd + groups : NULL;
}

/* The norm of a node: its numbers, and pointers to what it keeps. */
static norm kept_by(const df_node *node, const stages *how) {
  norm n = *(const norm *)node->data;
  point(&n, node->keep);
  n.stages = how;
  return n;
}

static df_code group_norm_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  static const stages back = { fill_table, gather_back, settle_back, apply_back };
  (void)tape;
  norm n = kept_by(node, &back);
  df_sink x, e;
  /* e first: it arrives first, and may be x itself */
  if (df_sink_open(node, ADDED, &e) != DF_OK || df_sink_open(node, X, &x) != DF_OK)
    return df_error_code();
  n.dy = df_tensor_reals(dy), n.dx = x.to, n.beta = x.beta;
  n.de = e.to, n.de_beta = e.beta;
  n.dz_apart = n.dx && n.beta != 0 && makes_dz(&n);
  if (!workspace(&n)) return DF_MEMORY;
  run(&n);
  df_code code = sum_images(&n, node, WEIGHT, 1);
  if (code == DF_OK) code = sum_images(&n, node, BIAS, 0);
  df_free(n.sum);
  return code;
}

/* ==== the result again ============================================================== */

static df_tensor *of_form(df_tape *tape, const df_shape *shape, df_form form) {
  return form == DF_ROWS ? df_result(tape, shape) : df_planes_new(tape, shape, form);
}

static void aim(norm *n, const df_tensor *y) {
  n->y = NULL;
  if (y->form == DF_ROWS) n->y = df_tensor_reals(y);
  else n->operand = df_planes_operand(y);
}

/* The last stage alone. A result is as large as x and mostly a convolution's operand, so
** that keeping it too would double what a network keeps. */
static df_tensor *group_norm_remake(df_tape *tape, df_node *node) {
  static const stages again = { fill_table, NULL, NULL, apply_part };
  norm n = kept_by(node, &again);
  df_tensor *y = of_form(tape, &node->keep[X]->shape, n.opts.form);
  if (!y || !workspace(&n)) return NULL;
  aim(&n, y);
  run(&n);
  df_free(n.sum);
  return y;
}

/* ==== the op ======================================================================== */

static df_code check_channels(const char *what, const df_tensor *w, const df_tensor *x,
                              df_int C) {
  if (!w || (w->shape.ndim == 1 && w->shape.size[0] == C)) return DF_OK;
  return df_fail(DF_MISUSE, "group_norm: %s is %s but x %s has %td channels", what,
                 df_tensor_text(w), df_tensor_text(x), C);
}

static df_code check(df_tensor *const *of, const df_norm_opts *opts) {
  const df_tensor *x = of[X], *e = of[ADDED];
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
  const df_shape each = { 2, { x->shape.size[0], C } };
  if (e && !df_shape_equal(&e->shape, &each))
    return df_fail(DF_MISUSE, "group_norm: add is %s but x %s wants %s",
                   df_tensor_text(e), df_tensor_text(x), df_shape_text(&each));
  df_code code = check_channels("w", of[WEIGHT], x, C);
  return code == DF_OK ? check_channels("b", of[BIAS], x, C) : code;
}

/* The operands, dense; false: memory. */
static bool all_dense(df_tape *tape, df_tensor **of) {
  for (int i = X; i <= ADDED; i++)
    if (of[i] && !(of[i] = df_dense(tape, of[i]))) return false;
  return true;
}

static df_tensor *statistics_of(df_tape *tape, const norm *n, bool adds) {
  df_int size = 3 * n->B * n->opts.groups + (adds ? n->B * n->C : 0);
  return df_result(tape, &(df_shape){ 1, { size } });
}

df_tensor *df_group_norm(df_tape *tape, df_tensor *x, df_tensor *e, df_tensor *w,
                         df_tensor *b, const df_norm_opts *opts) {
  static const df_op op = { "group_norm", group_norm_backward };
  static const stages forward = { guess_centres, gather_moments, settle_moments,
                                  apply_part };
  df_tensor *of[5] = { [X] = x, [WEIGHT] = w, [BIAS] = b, [ADDED] = e };
  if (!x || !all_dense(tape, of) || check(of, opts) != DF_OK) return NULL;
  norm n = { .opts = *opts, .B = of[X]->shape.size[0], .stages = &forward };
  n.C = of[X]->shape.size[of[X]->shape.ndim - 1];
  n.P = df_tensor_count(of[X]) / n.B / n.C;
  cut(&n);
  df_tensor *y = of_form(tape, &of[X]->shape, opts->form);
  of[STATISTICS] = statistics_of(tape, &n, e != NULL);
  if (!y || !of[STATISTICS] || !workspace(&n)) return NULL;
  if (opts->keep < 1) n.key = df_tape_draw(tape, DF_STREAM_DROPOUT);
  point(&n, of);
  aim(&n, y);
  run(&n);
  df_free(n.sum);
  df_note note = { .op = &op, .n = 4, .x = of, .kept = 5, .keep = of };
  note.data = &n, note.size = sizeof n, note.remake = group_norm_remake;
  return df_tape_note(tape, y, note);
}
