/* Images in parts and blocks, by one thread or by all. */
#include "ops/stages.h"

#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"

#define PART  (8 * DF_STAGE_BLOCK) /* reals of a part, about */
#define WHOLE (4 * PART)           /* an image up to this size is worked by one thread */
#define FEW   4                    /* unless there are fewer images than that */

df_stages df_stages_of(df_int B, df_int P, df_int C) {
  df_stages s = { .B = B, .P = P, .C = C };
  df_int wide = df_max(C, 1);
  s.rows = df_max(df_min(DF_STAGE_BLOCK / wide, DF_STAGE_RUN), 1);
  s.cols = df_min(wide, DF_STAGE_BLOCK);
  s.span = df_max(PART / (s.rows * wide), 1) * s.rows;
  s.parts = df_max(df_ceil_div(P, s.span), 1);
  return s;
}

bool df_stages_open(df_stages *s, df_int n) {
  size_t sums = (size_t)(s->B * s->parts * 2 * s->C), reals = (size_t)(s->B * s->C * n);
  s->sum = df_alloc(sums * (sizeof(double) + sizeof(df_real)) + reals * sizeof(df_real));
  if (!s->sum) return false;
  s->run = (void *)(s->sum + sums);
  s->table = s->run + sums;
  return true;
}

void df_stages_close(df_stages *s) { df_free(s->sum); }

df_stage_part df_stage_part_of(const df_stages *s, df_int image, df_int part) {
  df_int to = df_min((part + 1) * s->span, s->P);
  return (df_stage_part){ image, part, part * s->span, to, NULL };
}

void df_stage_each(const df_stages *s, void *op, const df_stage_part *part,
                   void (*work)(void *op, const df_stage_part *,
                                const df_stage_block *)) {
  df_stage_block k;
  for (k.pixel = part->from; k.pixel < part->to; k.pixel += s->rows)
    for (k.c = 0; k.c < s->C; k.c += s->cols) {
      k.rows = df_min(s->rows, part->to - k.pixel);
      k.cols = df_min(s->cols, s->C - k.c);
      work(op, part, &k);
    }
}

/* ==== sums ========================================================================== */

void df_stage_clear(const df_stages *s, const df_stage_part *part) {
  size_t n = (size_t)s->C * 2;
  memset(df_stage_sums(s, part->image, part->part), 0, n * sizeof(double));
  memset(df_stage_run_sums(s, part->image, part->part), 0, n * sizeof(df_real));
}

void df_stage_flush(const df_stages *s, const df_stage_part *part) {
  double *sum = df_stage_sums(s, part->image, part->part);
  df_real *run = df_stage_run_sums(s, part->image, part->part);
  for (df_int i = 0; i < 2 * s->C; i++) sum[i] += (double)run[i], run[i] = 0;
}

double *df_stage_fold(const df_stages *s, df_int image) {
  double *sum = df_stage_sums(s, image, 0);
  for (df_int part = 1; part < s->parts; part++)
    for (df_int i = 0; i < 2 * s->C; i++) sum[i] += df_stage_sums(s, image, part)[i];
  return sum;
}

/* ==== running ======================================================================= */

typedef struct job {
  const df_stages *s;
  const df_stage_work *work;
  void *op;
  df_int room;
} job;

static void prepare_images(void *context, df_int begin, df_int end) {
  const job *j = context;
  for (df_int i = begin; i < end; i++) j->work->prepare(j->op, i);
}

static void settle_images(void *context, df_int begin, df_int end) {
  const job *j = context;
  for (df_int i = begin; j->work->settle && i < end; i++) j->work->settle(j->op, i);
}

typedef void part_work(void *op, const df_stage_part *part);

static void parts(const job *j, part_work *work, df_int begin, df_int end,
                  df_real *room) {
  for (df_int i = begin; work && i < end; i++) {
    df_stage_part part = df_stage_part_of(j->s, i / j->s->parts, i % j->s->parts);
    part.room = room;
    work(j->op, &part);
  }
}

static void gather_parts(void *context, df_int begin, df_int end) {
  const job *j = context;
  parts(j, j->work->gather, begin, end, NULL);
}

static void apply_parts(void *context, df_int begin, df_int end) {
  const job *j = context;
  parts(j, j->work->apply, begin, end, NULL);
}

static void whole_image(job *j, df_int i, df_real *room) {
  df_int first = i * j->s->parts, last = first + j->s->parts;
  prepare_images(j, i, i + 1);
  parts(j, j->work->gather, first, last, room);
  settle_images(j, i, i + 1);
  parts(j, j->work->apply, first, last, room);
}

static void whole_images(void *context, df_int begin, df_int end) {
  job *j = context;
  df_real *room = j->room ? df_alloc((size_t)j->room * sizeof *room) : NULL;
  for (df_int i = begin; i < end; i++) whole_image(j, i, room);
  df_free(room);
}

/* Both ways give the same bits. The stages of a whole image are too short to start
** threads for a few images. */
void df_stages_run(const df_stages *s, const df_stage_work *work, void *op, df_int room) {
  job j = { s, work, op, room };
  df_int size = s->P * s->C;
  if ((size <= WHOLE && s->B >= FEW) || s->B >= 16 || s->parts == 1) {
    df_parallel(s->B, df_max(PART / df_max(size, 1), 1), whole_images, &j);
    return;
  }
  df_parallel(s->B, FEW, prepare_images, &j);
  df_parallel(s->B * s->parts, 1, gather_parts, &j);
  df_parallel(s->B, FEW, settle_images, &j);
  df_parallel(s->B * s->parts, 1, apply_parts, &j);
}
