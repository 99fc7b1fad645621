/* Integers and times become vectors: rows of a learned table, and sines of many
** periods. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/block.h"
#include "ops/op.h"
#include "ops/parts.h"
#include "ops/stored.h"
#include "ops/whole.h"

#define GRAIN   16384 /* elements of a chunk, about */
#define COLUMNS 64    /* columns of the table's gradient in a chunk */

/* ==== embedding ===================================================================== */

/* The table is read in its own type, and only the rows that are asked for. */
typedef struct lookup {
  const int64_t *index;
  df_int n, D;
  df_array table;
  df_real *to;
  const df_tensor *w;
} lookup;

static void copy_row(const lookup *l, df_int row, df_real *to) {
  if (df_dtype_in_blocks(l->w->dtype)) {
    df_stored_read(l->w, l->w->offset + row * l->w->stride[0], to, l->D);
    return;
  }
  df_int step;
  const df_real *from = df_fetch(&l->table, DF_REAL, row * l->D, l->D, to, &step);
  for (df_int i = 0; step == 0 && i < l->D; i++) to[i] = *from;
  if (step == 1 && from != to) memcpy(to, from, (size_t)l->D * sizeof *to);
}

static void copy_rows(void *context, df_int begin, df_int end) {
  const lookup *l = context;
  for (df_int i = begin; i < end; i++) {
    df_real *to = l->to + i * l->D;
    if (l->index[i] == 0) memset(to, 0, (size_t)l->D * sizeof *to);
    else copy_row(l, l->index[i] - 1, to);
  }
}

typedef struct addition {
  const int64_t *index;
  df_int n, D;
  const df_real *from;
  df_real *to;
} addition;

/* With y_i = w[index_i]: dw[index_i] += dy_i, in the order of i, for columns [begin,
** end) */
static void add_columns(void *context, df_int begin, df_int end) {
  const addition *l = context;
  for (df_int i = 0; i < l->n; i++) {
    if (l->index[i] == 0) continue;
    const df_real one = 1, *dy = l->from + i * l->D + begin;
    df_kernel()->mix(l->to + (l->index[i] - 1) * l->D + begin, 1, &one, &dy, 1,
                     end - begin);
  }
}

typedef struct looked_up {
  const df_tensor *index, *dy;
  df_int rows, table; /* rows of a part; elements of the table */
} looked_up;

static df_code rows_of_part(void *context, int part, df_real *to, df_real beta) {
  const looked_up *of = context;
  const df_int D = of->dy->shape.size[of->dy->shape.ndim - 1], first = part * of->rows;
  const int64_t *index = df_tensor_data(of->index);
  addition l = { index + first, of->rows, D, df_tensor_reals(of->dy) + first * D, to };
  if (beta == 0) df_sink_clear(to, of->table);
  df_parallel(D, COLUMNS, add_columns, &l);
  return DF_OK;
}

static df_code embedding_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  if (!df_wants(node, 0)) return DF_OK;
  const df_tensor *index = node->keep[0];
  looked_up of = { index, dy, df_tensor_count(index) / df_sink_parts(node, 0),
                   df_sink_count(node, 0) };
  return df_sink_by_parts(node, 0, rows_of_part, &of);
}

static df_code check_lookup(const df_tensor *index, const df_tensor *w) {
  if (w->shape.ndim != 2)
    return df_fail(DF_MISUSE, "embedding: w must be [n,D], it is %s", df_tensor_text(w));
  if (index->shape.ndim >= DF_DIMS)
    return df_fail(DF_MISUSE, "embedding: index %s has %d dimensions, at most %d fit",
                   df_tensor_text(index), index->shape.ndim, DF_DIMS - 1);
  const int64_t *at = df_tensor_data(index);
  for (df_int i = 0; i < df_tensor_count(index); i++)
    if (at[i] < 0 || at[i] > w->shape.size[0])
      return df_fail(DF_MISUSE, "embedding: index %td is %lld, outside 0..%td", i + 1,
                     (long long)at[i], w->shape.size[0]);
  return DF_OK;
}

df_tensor *df_embedding(df_tape *tape, df_tensor *index, df_tensor *w) {
  static const df_op op = { "embedding", embedding_backward };
  index = df_indices(tape, "embedding: index", index);
  if (w && !df_dtype_is_float(w->dtype)) w = df_dense(tape, w);
  if (!index || !w || check_lookup(index, w) != DF_OK) return NULL;
  bool in_rows = df_dtype_in_blocks(w->dtype) && w->stride[1] == 1;
  if (!in_rows && df_computable("embedding: w", w) != DF_OK) return NULL;
  df_shape shape = index->shape;
  df_int D = shape.size[shape.ndim++] = w->shape.size[1];
  df_tensor *y = df_result(tape, &shape);
  if (!y) return NULL;
  lookup l = { df_tensor_data(index),     df_tensor_count(index), D,
               df_array_of(w, &w->shape), df_tensor_reals(y),     w };
  if (D > 0) df_parallel(l.n, GRAIN / (D + 1) + 1, copy_rows, &l);
  df_note note = { .op = &op, .n = 1, .x = &w, .kept = 1, .keep = &index };
  note.by_parts = 1u;
  return df_tape_note(tape, y, note);
}

/* ==== sinusoid (Vaswani et al. 2017, section 3.5) =================================== */

typedef struct waves {
  const double *t, *frequency; /* B of them; half the width */
  df_real *y;
  df_int width;
  bool sin_first, single;
} waves;

static double angle_of(const waves *w, double t, double frequency) {
  return w->single ? (double)((float)t * (float)frequency) : t * frequency;
}

/* Angles are reduced to half a turn in double, which costs no digits. The vector kernel
** then takes the sines, in a twentieth of libm's time. */
static void wave_rows(void *context, df_int begin, df_int end) {
  const waves *w = context;
  const df_kernels *kernel = df_kernel();
  const double turn = 6.283185307179586477;
  df_int half = w->width / 2;
  for (df_int i = begin; i < end; i++) {
    df_real *first = w->y + i * w->width, *second = first + half;
    for (df_int k = 0; k < half; k++) {
      double angle = angle_of(w, w->t[i], w->frequency[k]);
      second[k] = (df_real)(angle - turn * floor(angle / turn + 0.5));
    }
    (w->sin_first ? kernel->sin : kernel->cos)(first, second, half);
    (w->sin_first ? kernel->cos : kernel->sin)(second, second, half);
    if (w->width % 2 != 0) second[half] = 0;
  }
}

static void run_waves(waves *w, df_int B) {
  df_parallel(B, 2048 / w->width + 1, wave_rows, w);
}

/* t as doubles, less the offset. Times have no gradient. */
static df_tensor *times_of(df_tape *tape, const char *op, df_tensor *t, double offset) {
  if (t->shape.ndim != 1)
    return df_fail_null(DF_MISUSE, "%s: t must be [B], it is %s", op, df_tensor_text(t));
  if (df_tracked(tape, 1, &t))
    return df_fail_null(DF_MISUSE,
                        "%s has no gradient, but t %s is being recorded; detach() it", op,
                        df_tensor_text(t));
  if (df_whole_fits(t, DF_F64) != DF_OK) return NULL;
  df_tensor *times = df_scope_own(tape, df_tensor_new(DF_F64, &t->shape));
  if (!times) return NULL;
  df_tensor_copy(times, t);
  double *at = df_tensor_data(times);
  for (df_int i = 0; i < t->shape.size[0]; i++) at[i] -= offset;
  return times;
}

static df_code check_waves(const df_sinusoid_opts *opts) {
  if (opts->width < 1)
    return df_fail(DF_MISUSE, "sinusoid: width must be at least 1, got %td", opts->width);
  if (!(opts->max_period > 0))
    return df_fail(DF_MISUSE, "sinusoid: max_period must be above 0, got %g",
                   opts->max_period);
  if (!isfinite(opts->shift)
      || (opts->width > 1 && opts->shift == (double)(opts->width / 2)))
    return df_fail(DF_MISUSE,
                   "sinusoid: shift must be finite and not half the width of %td, got %g",
                   opts->width, opts->shift);
  return DF_OK;
}

/* max_period^(-k / (half - shift)); each step is rounded if they are single. */
static double frequency_of(const df_sinusoid_opts *opts, df_int k) {
  const double room = (double)(opts->width / 2) - opts->shift;
  if (!opts->single) return exp(-log(opts->max_period) / room * (double)k);
  const float exponent = (float)-log(opts->max_period) * (float)k / (float)room;
  return (double)(float)exp((double)exponent);
}

df_tensor *df_sinusoid(df_tape *tape, df_tensor *t, const df_sinusoid_opts *opts) {
  static const df_op op = { "sinusoid", NULL };
  if (!t || check_waves(opts) != DF_OK) return NULL;
  df_tensor *times = times_of(tape, "sinusoid", t, opts->offset);
  df_int half = opts->width / 2;
  df_tensor *frequencies =
      df_scope_own(tape, df_tensor_new(DF_F64, &(df_shape){ 1, { half } }));
  df_shape shape = { 2, { t->shape.size[0], opts->width } };
  df_tensor *y = df_result(tape, &shape);
  if (!times || !frequencies || !y) return NULL;
  double *frequency = df_tensor_data(frequencies);
  for (df_int k = 0; k < half; k++) frequency[k] = frequency_of(opts, k);
  waves w = { df_tensor_data(times), frequency,       df_tensor_reals(y),
              opts->width,           opts->sin_first, opts->single };
  run_waves(&w, shape.size[0]);
  return df_tape_note(tape, y, (df_note){ .op = &op });
}

/* ==== Fourier features ============================================================== */

/* The product of t, w, 2 and pi, each step rounded to float. */
static void turn_rows(void *context, df_int begin, df_int end) {
  const waves *w = context;
  const df_kernels *kernel = df_kernel();
  const df_int half = w->width / 2;
  const float pi = 3.14159265358979f;
  for (df_int i = begin; i < end; i++) {
    df_real *first = w->y + i * w->width, *second = first + half;
    for (df_int k = 0; k < half; k++)
      second[k] = (df_real)((float)w->t[i] * (float)w->frequency[k] * 2 * pi);
    (w->sin_first ? kernel->sin : kernel->cos)(first, second, half);
    (w->sin_first ? kernel->cos : kernel->sin)(second, second, half);
  }
}

static df_code check_fourier(const df_tensor *t, const df_tensor *w) {
  if (w->shape.ndim == 1 && w->shape.size[0] > 0) return DF_OK;
  return df_fail(DF_MISUSE, "fourier: w must be [C], it is %s, for t %s",
                 df_tensor_text(w), df_tensor_text(t));
}

df_tensor *df_fourier(df_tape *tape, df_tensor *t, df_tensor *w,
                      const df_fourier_opts *opts) {
  static const df_op op = { "fourier", NULL };
  if (!t || !w || check_fourier(t, w) != DF_OK) return NULL;
  df_tensor *times = times_of(tape, "fourier", t, opts->offset);
  df_tensor *weights = df_scope_own(tape, df_tensor_new(DF_F64, &w->shape));
  df_shape shape = { 2, { t->shape.size[0], 2 * w->shape.size[0] } };
  df_tensor *y = df_result(tape, &shape);
  if (!times || !weights || !y) return NULL;
  df_tensor_copy(weights, w);
  double *at = df_tensor_data(times);
  for (df_int i = 0; opts->log && i < shape.size[0]; i++) at[i] = log(at[i]);
  waves v = { at, df_tensor_data(weights), df_tensor_reals(y), shape.size[1],
              .sin_first = opts->sin_first };
  df_parallel(shape.size[0], 2048 / v.width + 1, turn_rows, &v);
  return df_tape_note(tape, y, (df_note){ .op = &op });
}
