/* Images filtered and resampled (upfirdn2d of StyleGAN2, Karras et al. 2020). One
** direction is a sparse matrix: each result is a sum of a few pixels of a line. The
** gradient has the transposed matrices. */
#include "base/alloc.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "ops/sink.h"

#define GRAIN 16384 /* elements of the result in a chunk, about */

/* Result i is the sum of c[e] x[from[e]] for e in first[i] .. first[i + 1] - 1. */
typedef struct lines {
  df_int n; /* results */
  df_int *first, *from;
  df_real *c;
} lines;

/* ==== matrices ====================================================================== */

static df_int length_of(const df_fir_opts *o, df_int size) {
  const df_int room = size * o->up + o->before + o->after - o->taps;
  return room < 0 ? 0 : room / o->down + 1;
}

/* The pixel at place `at` of the enlarged line, or -1 for a zero. */
static df_int pixel_at(const df_fir_opts *o, df_int size, df_int at) {
  if (at % o->up != 0) return -1;
  const df_int i = at / o->up, last = size - 1;
  if (o->reflect) return i < 0 ? -i : i > last ? 2 * last - i : i;
  return i >= 0 && i <= last ? i : -1;
}

static bool open_lines(lines *l, df_int n, df_int entries) {
  const size_t e = (size_t)entries, places = (size_t)(n + 1) + e;
  l->n = n;
  l->first = df_alloc(places * sizeof *l->first + e * sizeof *l->c);
  if (!l->first) return false;
  l->from = l->first + n + 1;
  l->c = (df_real *)(void *)(l->from + entries);
  return true;
}

static bool forward_lines(lines *l, const df_fir_opts *o, df_int size) {
  const df_int n = length_of(o, size);
  df_int e = 0;
  if (!open_lines(l, n, n * o->taps)) return false;
  for (df_int i = 0; i < n; i++) {
    l->first[i] = e;
    for (int k = 0; k < o->taps; k++) {
      const df_int pixel = pixel_at(o, size, i * o->down + k - o->before);
      if (pixel < 0) continue;
      l->from[e] = pixel;
      l->c[e++] = (df_real)o->tap[k];
    }
  }
  l->first[n] = e;
  return true;
}

/* The transpose of `of`, which reads `size` pixels. Entries keep their order. */
static bool transposed_lines(lines *l, const lines *of, df_int size) {
  const df_int entries = of->first[of->n];
  if (!open_lines(l, size, entries)) return false;
  for (df_int i = 0; i <= size; i++) l->first[i] = 0;
  for (df_int e = 0; e < entries; e++) l->first[of->from[e] + 1]++;
  for (df_int i = 0; i < size; i++) l->first[i + 1] += l->first[i];
  for (df_int i = 0; i < of->n; i++)
    for (df_int e = of->first[i]; e < of->first[i + 1]; e++) {
      const df_int at = l->first[of->from[e]]++;
      l->from[at] = i;
      l->c[at] = of->c[e];
    }
  for (df_int i = size; i > 0; i--) l->first[i] = l->first[i - 1];
  l->first[0] = 0;
  return true;
}

/* ==== the work ====================================================================== */

typedef struct job {
  const df_real *x;
  df_real *y, beta;
  df_int W, H, C; /* x is B, H, W, C */
  lines down, across;
} job;

#define TOGETHER 64 /* entries of a line that one call sums */

/* One pixel: the sum over rows of x, then over pixels of each row. */
static void sum_pixel(const job *j, const df_real *image, df_int h, df_int w,
                      df_real *to) {
  const lines *down = &j->down, *across = &j->across;
  const df_real *x[TOGETHER];
  df_real c[TOGETHER], beta = j->beta;
  int n = 0;
  for (df_int r = down->first[h]; r < down->first[h + 1]; r++)
    for (df_int e = across->first[w]; e < across->first[w + 1]; e++) {
      x[n] = image + (down->from[r] * j->W + across->from[e]) * j->C;
      c[n++] = down->c[r] * across->c[e];
      if (n < TOGETHER) continue;
      df_kernel()->mix(to, beta, c, x, n, j->C);
      n = 0, beta = 1;
    }
  if (n > 0 || beta != 1) df_kernel()->mix(to, beta, c, x, n, j->C);
}

static void rows(void *context, df_int begin, df_int end) {
  const job *j = context;
  for (df_int row = begin; row < end; row++) {
    const df_real *image = j->x + row / j->down.n * j->H * j->W * j->C;
    for (df_int w = 0; w < j->across.n; w++)
      sum_pixel(j, image, row % j->down.n, w, j->y + (row * j->across.n + w) * j->C);
  }
}

static void run(job *j, df_int B) {
  const df_int row = j->across.n * j->C;
  if (row > 0) df_parallel(B * j->down.n, GRAIN / row + 1, rows, j);
}

static void shut(job *j) {
  df_free(j->down.first);
  df_free(j->across.first);
}

static bool set_up(job *j, const df_fir_opts *o, df_int H, df_int W) {
  if (forward_lines(&j->down, o, H) && forward_lines(&j->across, o, W)) return true;
  shut(j);
  return false;
}

/* The matrices of the gradient, with respect to an x of H by W pixels. */
static bool set_up_back(job *j, const df_fir_opts *o, df_int H, df_int W) {
  job forward = { .x = NULL };
  if (!set_up(&forward, o, H, W)) return false;
  const bool fine = transposed_lines(&j->down, &forward.down, H)
                    && transposed_lines(&j->across, &forward.across, W);
  shut(&forward);
  if (!fine) shut(j);
  return fine;
}

/* ==== the op ======================================================================== */

typedef struct kept {
  df_fir_opts opts;
  df_shape x;
} kept;

/* dx = the transposed sums of dy */
static df_code fir_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const kept *k = node->data;
  const df_int *n = k->x.size;
  df_sink s;
  (void)tape;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  job j = { .x = df_tensor_reals(dy), .y = s.to, .beta = s.beta, .C = n[3] };
  j.H = dy->shape.size[1], j.W = dy->shape.size[2];
  if (!set_up_back(&j, &k->opts, n[1], n[2])) return DF_MEMORY;
  run(&j, n[0]);
  shut(&j);
  return DF_OK;
}

static df_code check_opts(const df_fir_opts *o) {
  if (o->up < 1 || o->down < 1 || o->up > 64 || o->down > 64)
    return df_fail(DF_MISUSE, "fir: up and down must be in 1..64, got %td and %td", o->up,
                   o->down);
  if (o->taps < 1 || o->taps > DF_FIR_TAPS)
    return df_fail(DF_MISUSE, "fir: a filter has 1 to %d taps, got %d", DF_FIR_TAPS,
                   o->taps);
  const df_int far = (df_int)1 << 20;
  if (o->before > far || o->after > far || o->before < -far || o->after < -far)
    return df_fail(DF_MISUSE, "fir: before and after are %td and %td, at most %td fit",
                   o->before, o->after, far);
  return DF_OK;
}

/* Mirrored pixels lie within one image's side. */
static df_code check_side(const df_fir_opts *o, const df_tensor *x, df_int size) {
  const df_int last = (length_of(o, size) - 1) * o->down + o->taps - 1 - o->before;
  if (length_of(o, size) < 1)
    return df_fail(DF_MISUSE, "fir: %s is smaller than a filter of %d taps",
                   df_tensor_text(x), o->taps);
  if (o->reflect
      && (o->before < 0 || o->before > (size - 1) * o->up
          || last > 2 * (size - 1) * o->up))
    return df_fail(DF_MISUSE,
                   "fir: %s is too small to be mirrored %td and %td pixels far",
                   df_tensor_text(x), o->before, o->after);
  return DF_OK;
}

static df_code check(const df_fir_opts *o, const df_tensor *x) {
  if (x->shape.ndim != 4)
    return df_fail(DF_MISUSE, "fir: images are [B,H,W,C], this is %s", df_tensor_text(x));
  if (check_opts(o) != DF_OK || check_side(o, x, x->shape.size[1]) != DF_OK)
    return DF_MISUSE;
  return check_side(o, x, x->shape.size[2]);
}

df_tensor *df_fir(df_tape *tape, df_tensor *x, const df_fir_opts *opts) {
  static const df_op op = { "fir", fir_backward };
  if (!x || check(opts, x) != DF_OK) return NULL;
  x = df_dense(tape, x);
  if (!x) return NULL;
  const df_int *n = x->shape.size;
  const df_shape shape = { 4,
                           { n[0], length_of(opts, n[1]), length_of(opts, n[2]), n[3] } };
  df_tensor *y = df_result(tape, &shape);
  job j = { .x = df_tensor_reals(x), .H = n[1], .W = n[2], .C = n[3] };
  if (!y || !set_up(&j, opts, n[1], n[2])) return NULL;
  j.y = df_tensor_reals(y);
  run(&j, n[0]);
  shut(&j);
  kept k = { *opts, x->shape };
  return df_tape_note(
      tape, y, (df_note){ .op = &op, .n = 1, .x = &x, .data = &k, .size = sizeof k });
}
