/* Ops over a batch of images that need sums over each image.
**
** An image goes through four stages: prepare it, gather sums over its parts, settle what
** follows from the sums, and apply that to its parts. Parts are worked block by block, so
** that what an op does to a block stays in cache. */
#ifndef df_stages_h
#define df_stages_h

#include "base/base.h"

#define DF_STAGE_BLOCK 2048 /* reals of a block at most */
#define DF_STAGE_RUN   64   /* pixels that are summed in reals before doubles take over */

/* The cut of a batch, by an image's own shape alone: an image has the same bits in any
** batch. Two sums are kept for each channel. */
typedef struct df_stages {
  df_int B, P, C;     /* images, pixels of one, channels */
  df_int rows, cols;  /* size of a block: pixels of all channels, or channels of one */
  df_int span, parts; /* pixels of a part, parts of an image */
  double *sum;        /* B, parts, 2, C; the sums of part 0 become the image's */
  df_real *run;       /* B, parts, 2, C: sums of one run */
  df_real *table;     /* B, n, C: coefficients of an image's channels */
} df_stages;

typedef struct df_stage_part {
  df_int image, part;
  df_int from, to; /* its pixels */
  df_real *room;   /* scratch for the whole image, or NULL */
} df_stage_part;

typedef struct df_stage_block {
  df_int pixel, rows; /* the first pixel, how many */
  df_int c, cols;     /* the first channel, how many */
} df_stage_block;

typedef struct df_stage_work { /* gather and settle may be NULL */
  void (*prepare)(void *op, df_int image);
  void (*gather)(void *op, const df_stage_part *part);
  void (*settle)(void *op, df_int image);
  void (*apply)(void *op, const df_stage_part *part);
} df_stage_work;

df_stages df_stages_of(df_int B, df_int P, df_int C);
/* Allocates the sums, and n rows of coefficients for each image; false: no memory. */
bool df_stages_open(df_stages *s, df_int n);
void df_stages_close(df_stages *s);

/* Runs all stages over the pool. `room` is the number of reals of scratch that an image
** can use. A part has them if one thread works its whole image and memory suffices. */
void df_stages_run(const df_stages *s, const df_stage_work *work, void *op, df_int room);

df_stage_part df_stage_part_of(const df_stages *s, df_int image, df_int part);
void df_stage_each(const df_stages *s, void *op, const df_stage_part *part,
                   void (*work)(void *op, const df_stage_part *, const df_stage_block *));

/* The sums of a part: two rows of C. */
static inline double *df_stage_sums(const df_stages *s, df_int image, df_int part) {
  return s->sum + (image * s->parts + part) * 2 * s->C;
}
static inline df_real *df_stage_run_sums(const df_stages *s, df_int image, df_int part) {
  return s->run + (image * s->parts + part) * 2 * s->C;
}
void df_stage_clear(const df_stages *s, const df_stage_part *part);
/* Adds the run to the part's sums, and clears it. */
void df_stage_flush(const df_stages *s, const df_stage_part *part);
/* Adds up the parts of an image, in order. */
double *df_stage_fold(const df_stages *s, df_int image);

#endif
