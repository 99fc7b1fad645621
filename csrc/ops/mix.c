/* y = sum_i c_i x_i + c eps in one pass. All noising, posterior means, conversions,
** guidance and sampler updates are this op. */
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "ops/sink.h"

#define BLOCK 2048 /* reals of a block: eps stays in cache until it is added */

typedef struct mix { /* the work: `rows` samples of `row` elements */
  df_real *y, *eps;
  const df_real *x[DF_TERMS_MAX];
  const double *c[DF_TERMS_MAX];
  bool each[DF_TERMS_MAX]; /* one coefficient per sample, else one for all */
  int terms;
  const df_noise *noise;
  const df_normals *normals;
  df_int rows, row, blocks; /* blocks: number of blocks in a row */
} mix;

static df_real coefficient(const double *c, bool each, df_int sample) {
  return (df_real)c[each ? sample : 0];
}

static void draw(const mix *m, df_real *eps, df_int sample, df_int first, df_int n) {
  df_random key = m->noise->key;
  key.sample += (uint32_t)sample;
  if (m->noise->step) key.step = m->noise->step[sample];
  df_kernel()->normal(eps, first, n, &key);
}

/* y += sum_j c_j z_j, while the block is in cache. Each z_j is added as mix itself would
** add it, so a single one has the bits of `draw`. */
static void add_normals(const mix *m, df_real *y, df_int sample, df_int first, df_int n) {
  df_real z[BLOCK];
  const df_real *x = z;
  df_random key = m->normals->key;
  key.sample += (uint32_t)sample;
  for (df_int j = 0; j < m->normals->n; j++) {
    df_real c = (df_real)m->normals->c[j];
    key.step = m->normals->step[j];
    df_kernel()->normal(z, first, n, &key);
    df_kernel()->mix(y, 1, &c, &x, 1, n);
  }
}

/* One block of one sample. */
static void mix_block(const mix *m, df_int sample, df_int first, df_int n) {
  df_int at = sample * m->row + first;
  df_real c[DF_TERMS_MAX + 1], own[BLOCK], *eps = m->eps ? m->eps + at : own;
  const df_real *x[DF_TERMS_MAX + 1];
  int k = m->terms;
  for (int i = 0; i < k; i++) {
    c[i] = coefficient(m->c[i], m->each[i], sample);
    x[i] = m->x[i] + at;
  }
  if (m->noise) {
    draw(m, eps, sample, first, n);
    c[k] = coefficient(m->noise->c, m->noise->n > 1, sample);
    x[k++] = eps;
  }
  df_kernel()->mix(m->y + at, 0, c, x, k, n);
  if (m->normals) add_normals(m, m->y + at, sample, first, n);
}

static void mix_blocks(void *context, df_int begin, df_int end) {
  const mix *m = context;
  for (df_int i = begin; i < end; i++) {
    df_int first = i % m->blocks * BLOCK;
    mix_block(m, i / m->blocks, first, df_min(BLOCK, m->row - first));
  }
}

static df_int samples(const df_shape *s) { return s->ndim ? s->size[0] : 1; }

/* If all samples have the same coefficients, they are one long row. */
static void run(mix *m, const df_shape *shape) {
  df_int count = df_shape_count(shape);
  if (count == 0) return;
  bool each = m->noise || m->normals;
  for (int i = 0; i < m->terms; i++) each = each || m->each[i];
  m->rows = each ? samples(shape) : 1;
  m->row = count / m->rows;
  m->blocks = df_ceil_div(m->row, BLOCK);
  df_parallel(m->rows * m->blocks, m->normals ? 1 : 8, mix_blocks, m);
}

static df_code check_count(df_int n, const df_shape *shape) {
  if (n == 1 || n == samples(shape)) return DF_OK;
  return df_fail(DF_MISUSE, "mix: %td coefficients for a batch of %td: %s", n,
                 samples(shape), df_shape_text(shape));
}

static df_code check(const df_term *term, int terms, const df_noise *noise) {
  const df_shape *shape = &term[0].x->shape;
  for (int i = 0; i < terms; i++) {
    if (!df_shape_equal(shape, &term[i].x->shape))
      return df_fail(DF_MISUSE, "mix: term %d is %s, the first is %s", i + 1,
                     df_tensor_text(term[i].x), df_shape_text(shape));
    if (check_count(term[i].n, shape) != DF_OK) return DF_MISUSE;
  }
  return noise ? check_count(noise->n, shape) : DF_OK;
}

/* The coefficients for backward: how many each term has, then their values. */
typedef struct kept {
  int terms;
  df_int n[DF_TERMS_MAX];
  double c[];
} kept;

/* With y = sum_i c_i x_i + c eps: dx_i = c_i dy */
static df_code mix_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  const kept *k = node->data;
  const double *c = k->c;
  mix m = { .terms = 0 };
  const double one = 1;
  for (int i = 0; i < k->terms; c += k->n[i], i++) {
    df_sink s;
    if (df_sink_open(node, i, &s) != DF_OK) return df_error_code();
    if (!s.to) continue;
    m.y = s.to;
    m.x[0] = df_tensor_reals(dy), m.c[0] = c, m.each[0] = k->n[i] > 1;
    m.x[1] = s.to, m.c[1] = &one, m.each[1] = false;
    m.terms = s.beta == 0 ? 1 : 2;
    run(&m, &dy->shape);
  }
  return DF_OK;
}

static df_tensor *note(df_tape *tape, df_tensor *y, const df_term *term, int terms,
                       df_tensor **x) {
  static const df_op op = { "mix", mix_backward };
  df_int numbers = 0;
  for (int i = 0; i < terms; i++) numbers += term[i].n;
  if (!df_tracked(tape, terms, x)) numbers = 0;
  size_t size = sizeof(kept) + (size_t)numbers * sizeof(double);
  df_shape room = { 1, { (df_int)(size / sizeof(df_real)) + 1 } };
  df_tensor *scratch = df_result(tape, &room);
  if (!scratch) return NULL;
  kept *k = df_tensor_data(scratch);
  k->terms = terms;
  double *c = k->c;
  for (int i = 0; i < terms && numbers; c += term[i].n, i++) {
    k->n[i] = term[i].n;
    memcpy(c, term[i].c, (size_t)term[i].n * sizeof *c);
  }
  df_note noted = { .op = &op, .n = terms, .x = x, .data = k, .size = size };
  return df_tape_note(tape, y, noted);
}

static df_tensor *mixed(df_tape *tape, const df_term *term, int terms,
                        const df_noise *noise, const df_normals *normals) {
  df_term dense[DF_TERMS_MAX] = { { NULL, NULL, 0 } };
  df_tensor *x[DF_TERMS_MAX];
  mix m = { .terms = terms, .noise = noise, .normals = normals };
  for (int i = 0; i < terms; i++) {
    dense[i] = term[i];
    dense[i].x = x[i] = df_dense(tape, term[i].x);
    if (!x[i]) return NULL;
    m.x[i] = df_tensor_reals(x[i]), m.c[i] = term[i].c, m.each[i] = term[i].n > 1;
  }
  if (check(dense, terms, noise) != DF_OK) return NULL;
  df_tensor *y = df_result(tape, &x[0]->shape);
  if (!y) return NULL;
  m.y = df_tensor_reals(y);
  m.eps = noise && noise->eps ? df_tensor_reals(noise->eps) : NULL;
  run(&m, &y->shape);
  return note(tape, y, dense, terms, x);
}

df_tensor *df_mix(df_tape *tape, const df_term *term, int terms, const df_noise *noise) {
  return mixed(tape, term, terms, noise, NULL);
}

df_tensor *df_mix_normals(df_tape *tape, const df_term *term, int terms,
                          const df_normals *normals) {
  if (normals->n > DF_NORMALS_MAX)
    return df_fail_null(DF_MISUSE, "mix: at most %d normals, got %td", DF_NORMALS_MAX,
                        normals->n);
  return mixed(tape, term, terms, NULL, normals);
}
