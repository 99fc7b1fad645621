/* Random tensors, and dropout. All are pure functions of a key (base/philox.h). So a
** sample is the same alone or in a batch, on any number of threads. */
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "ops/sink.h"

/* elements of a chunk, 2 us of work; a multiple of 4, the words of a block */
#define PART 4096

static df_random own_key(df_tape *tape, const df_random *key, df_draw draw) {
  if (key) return *key;
  df_random next = df_tape_draw(tape, DF_STREAM_USER);
  next.stream += (uint32_t)draw;
  return next;
}

/* `rows` samples of n elements, sample k keyed by key.sample + k. A list is one sample.
** In a part of a batch, the elements of a drawn list are its samples, from `shift` on. */
typedef struct fill fill;
struct fill {
  void (*part)(const fill *f, df_int at, df_int first, df_int n, const df_random *key);
  void *y;
  const df_real *x; /* for dropout */
  double keep;      /* for dropout, and the probability of a one for bernoulli */
  df_real beta;
  int64_t low; /* for randint */
  uint64_t range;
  df_random key;
  df_int shift;
  df_int rows, n, parts;
};

static void set_key(fill *f, df_tape *tape, const df_random *key, df_draw draw,
                    const df_shape *shape) {
  f->key = own_key(tape, key, draw);
  if (key || shape->ndim != 1) return;
  f->shift = f->key.sample;
  f->key.sample = 0;
}

static void fill_parts(void *context, df_int begin, df_int end) {
  const fill *f = context;
  for (df_int i = begin; i < end; i++) {
    df_int row = i / f->parts, first = i % f->parts * PART;
    df_random key = f->key;
    key.sample += (uint32_t)row;
    f->part(f, row * f->n + first, f->shift + first, df_min(PART, f->n - first), &key);
  }
}

static void run(fill *f, const df_shape *shape) {
  df_int count = df_shape_count(shape);
  if (count == 0) return;
  f->rows = shape->ndim >= 2 ? shape->size[0] : 1;
  f->n = count / f->rows;
  f->parts = df_ceil_div(f->n, PART);
  df_parallel(f->rows * f->parts, PART / df_min(f->n, PART), fill_parts, f);
}

/* ==== numbers ======================================================================= */

static df_tensor *numbers(df_tape *tape, const df_op *op, const df_shape *shape, fill f) {
  df_tensor *y = df_result(tape, shape);
  if (!y) return NULL;
  f.y = df_tensor_data(y);
  run(&f, shape);
  return df_tape_note(tape, y, (df_note){ .op = op });
}

static void normal_part(const fill *f, df_int at, df_int first, df_int n,
                        const df_random *key) {
  df_kernel()->normal((df_real *)f->y + at, first, n, key);
}

df_tensor *df_randn(df_tape *tape, const df_shape *shape, const df_random *key) {
  static const df_op op = { "randn", NULL };
  fill f = { .part = normal_part };
  set_key(&f, tape, key, DF_DRAW_NORMAL, shape);
  return numbers(tape, &op, shape, f);
}

static void uniform_part(const fill *f, df_int at, df_int first, df_int n,
                         const df_random *key) {
  df_kernel()->uniform((df_real *)f->y + at, first, n, key);
}

df_tensor *df_rand(df_tape *tape, const df_shape *shape, const df_random *key) {
  static const df_op op = { "rand", NULL };
  fill f = { .part = uniform_part };
  set_key(&f, tape, key, DF_DRAW_UNIFORM, shape);
  return numbers(tape, &op, shape, f);
}

static void coin_part(const fill *f, df_int at, df_int first, df_int n,
                      const df_random *key) {
  df_real *y = (df_real *)f->y + at;
  df_kernel()->uniform(y, first, n, key);
  for (df_int i = 0; i < n; i++) y[i] = (double)y[i] < f->keep;
}

df_tensor *df_bernoulli(df_tape *tape, const df_shape *shape, double p,
                        const df_random *key) {
  static const df_op op = { "bernoulli", NULL };
  fill f = { .part = coin_part, .keep = p };
  set_key(&f, tape, key, DF_DRAW_COIN, shape);
  return numbers(tape, &op, shape, f);
}

/* ==== whole numbers ================================================================= */

/* The high half of word times range is a number in 0 .. range - 1. Its probability is off
** by less than range / 2^64. A range of 0 stands for 2^64. */
static uint64_t below(uint64_t range, uint64_t word) {
  uint64_t low = (uint32_t)range, high = range >> 32;
  uint64_t a = (uint32_t)word, b = word >> 32;
  if (range == 0) return word;
  uint64_t middle = a * high + (a * low >> 32), other = b * low + (uint32_t)middle;
  return b * high + (middle >> 32) + (other >> 32);
}

/* The block of four words that was drawn last. Two successive elements share one. */
typedef struct drawn {
  const df_random *key;
  df_int block; /* -1: none yet */
  df_words words;
} drawn;

/* 64 bits for element e. */
static uint64_t long_word(drawn *d, df_int e) {
  if (e / 2 != d->block) {
    d->block = e / 2;
    d->words = df_random_block(d->key, (uint32_t)d->block);
  }
  const uint32_t *half = d->words.word + (e % 2 ? 2 : 0);
  return (uint64_t)half[0] << 32 | half[1];
}

static void whole_part(const fill *f, df_int at, df_int first, df_int n,
                       const df_random *key) {
  int64_t *y = (int64_t *)f->y + at;
  drawn d = { .key = key, .block = -1 };
  for (df_int i = 0; i < n; i++)
    y[i] = (int64_t)((uint64_t)f->low + below(f->range, long_word(&d, first + i)));
}

df_tensor *df_randint(df_tape *tape, const df_shape *shape, int64_t low, int64_t high,
                      const df_random *key) {
  static const df_op op = { "randint", NULL };
  if (low > high)
    return df_fail_null(DF_MISUSE, "randint: no whole number is in %lld..%lld",
                        (long long)low, (long long)high);
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_I64, shape));
  if (!y) return NULL;
  fill f = { .part = whole_part, .y = df_tensor_data(y), .low = low };
  f.range = (uint64_t)high - (uint64_t)low + 1;
  set_key(&f, tape, key, DF_DRAW_WHOLE, shape);
  run(&f, shape);
  return df_tape_note(tape, y, (df_note){ .op = &op });
}

/* Fisher and Yates (Durstenfeld 1964) */
df_tensor *df_randperm(df_tape *tape, df_int n, const df_random *key) {
  static const df_op op = { "randperm", NULL };
  if (n < 0) return df_fail_null(DF_MISUSE, "randperm: n must be >= 0, got %td", n);
  df_shape shape = { 1, { n } };
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_I64, &shape));
  if (!y) return NULL;
  df_random own = own_key(tape, key, DF_DRAW_ORDER);
  drawn d = { .key = &own, .block = -1 };
  int64_t *at = df_tensor_data(y);
  for (df_int i = 0; i < n; i++) at[i] = i + 1;
  for (df_int i = n - 1; i > 0; i--) {
    df_int j = (df_int)below((uint64_t)i + 1, long_word(&d, i));
    int64_t other = at[j];
    at[j] = at[i], at[i] = other;
  }
  return df_tape_note(tape, y, (df_note){ .op = &op });
}

/* ==== dropout ======================================================================= */

static void drop_part(const fill *f, df_int at, df_int first, df_int n,
                      const df_random *key) {
  df_kernel()->dropout((df_real *)f->y + at, f->x + at, f->keep, first, n, key);
}

#define BLOCK 2048

/* dx = beta dx + dropout(dy), with the mask of the forward pass from the same key */
static void drop_back_part(const fill *f, df_int at, df_int first, df_int n,
                           const df_random *key) {
  df_real block[BLOCK];
  const df_real one = 1, *term = block;
  for (df_int i = 0; i < n; i += BLOCK) {
    df_int m = df_min(BLOCK, n - i);
    df_kernel()->dropout(block, f->x + at + i, f->keep, first + i, m, key);
    df_kernel()->mix((df_real *)f->y + at + i, f->beta, &one, &term, 1, m);
  }
}

/* A node's own numbers. */
typedef struct dropped {
  double keep;
  df_random key;
} dropped;

static df_code dropout_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  const dropped *d = node->data;
  fill f = { .part = drop_back_part, .keep = d->keep, .key = d->key };
  df_sink s;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  f.x = df_tensor_reals(dy), f.y = s.to, f.beta = s.beta;
  run(&f, &dy->shape);
  return DF_OK;
}

df_tensor *df_dropout(df_tape *tape, df_tensor *x, double keep) {
  static const df_op op = { "dropout", dropout_backward };
  if (!(keep >= 0 && keep <= 1))
    return df_fail_null(DF_MISUSE, "dropout: the share dropped must be in [0, 1], got %g",
                        1 - keep);
  x = df_dense(tape, x);
  if (!x || keep == 1) return x;
  df_tensor *y = df_result(tape, &x->shape);
  if (!y) return NULL;
  dropped d = { keep, df_tape_draw(tape, DF_STREAM_DROPOUT) };
  fill f = { .part = drop_part, .keep = keep, .key = d.key };
  f.x = df_tensor_reals(x), f.y = df_tensor_data(y);
  run(&f, &x->shape);
  df_note note = { .op = &op, .n = 1, .x = &x, .data = &d, .size = sizeof d };
  return df_tape_note(tape, y, note);
}
