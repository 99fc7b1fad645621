/* The plan of a training's gradients. Arrays lie in buckets. A bucket's sum begins when
** its last array is there. Every bucket has scratch of its own, so all can be
** under way. */
#include <limits.h>
#include <stdlib.h>

#include "comm/comm.h"

typedef struct place {
  int bucket;
  df_int at; /* element of the bucket */
} place;

typedef struct bucket {
  char *data;
  df_int n;
  int arrays, missing; /* in this round */
  bool begun, done;
  comm_sum sum;
} bucket;

typedef struct plan {
  df_plan_opts opts;
  place *place;
  int n;
  bucket *bucket;
  int buckets;
  int begun; /* without the tree, buckets begin in order: collective calls must */
} plan;

static int next_tag = COMM_PLANS;

/* ==== making one ==================================================================== */

/* An array that is larger than a bucket has one of its own. */
static void lay_out(plan *p, const df_int *count) {
  for (int i = 0; i < p->n; i++) {
    bucket *b = p->buckets ? &p->bucket[p->buckets - 1] : NULL;
    if (!b || (b->n > 0 && b->n + count[i] > p->opts.most)) b = &p->bucket[p->buckets++];
    p->place[i] = (place){ p->buckets - 1, b->n };
    b->n += count[i];
    b->arrays++;
  }
}

static bool furnish(plan *p) {
  for (int k = 0; k < p->buckets; k++) {
    bucket *b = &p->bucket[k];
    b->data = p->opts.alloc((size_t)b->n * (size_t)p->opts.width + 1);
    b->sum = (comm_sum){ .data = b->data,
                         .n = b->n,
                         .kind = p->opts.width == 4 ? COMM_F32 : COMM_F64,
                         .tag = next_tag++,
                         .in_tree = p->opts.in_tree };
    const df_int scratch = p->opts.in_tree ? comm_sum_scratch(b->n) : 0;
    b->sum.scratch = p->opts.alloc((size_t)scratch * (size_t)p->opts.width + 1);
    if (!b->data || !b->sum.scratch) return false;
  }
  return true;
}

static bool is_under_way(const bucket *b) { return b->begun && !b->done; }

/* MPI may still read and write the arrays of a sum under way, after a failed pass. A sum
** can't be cancelled, so they stay. */
static void forget(void *of) {
  plan *p = of;
  for (int k = 0; p->bucket && k < p->buckets; k++) {
    if (is_under_way(&p->bucket[k])) continue;
    p->opts.free(p->bucket[k].data);
    p->opts.free(p->bucket[k].sum.scratch);
  }
  free(p->bucket);
  free(p->place);
  free(p);
}

/* An int counts the elements of a message. */
static bool are_countable(const df_int *count, int n) {
  for (int i = 0; i < n; i++)
    if (count[i] > INT_MAX) return comm_too_long(count[i]);
  return true;
}

static void *make(const df_int *count, int n, const df_plan_opts *opts) {
  if (!are_countable(count, n)) return NULL;
  plan *p = calloc(1, sizeof *p);
  if (!p) return comm_no_memory(), NULL;
  p->opts = *opts, p->n = n;
  p->place = calloc((size_t)n, sizeof *p->place);
  p->bucket = calloc((size_t)n, sizeof *p->bucket);
  if (p->place && p->bucket) {
    lay_out(p, count);
    if (furnish(p)) return p;
  }
  forget(p);
  return comm_no_memory(), NULL;
}

/* ==== a round ======================================================================= */

static void begin(void *of, double scale) {
  plan *p = of;
  p->begun = 0;
  for (int k = 0; k < p->buckets; k++) {
    bucket *b = &p->bucket[k];
    b->missing = b->arrays;
    b->begun = b->done = false;
    b->sum.scale = scale;
  }
}

static bool begin_bucket(bucket *b) {
  b->begun = true;
  return comm_sum_begin(&b->sum);
}

/* Without the tree, a complete bucket waits for those before it. */
static bool begin_those_ready(plan *p, bucket *b) {
  if (p->opts.in_tree) return begin_bucket(b);
  while (p->begun < p->buckets && p->bucket[p->begun].missing == 0)
    if (!begin_bucket(&p->bucket[p->begun++])) return false;
  return true;
}

static void *array(const void *of, int i) {
  const plan *p = of;
  const place *at = &p->place[i];
  return p->bucket[at->bucket].data + (size_t)at->at * (size_t)p->opts.width;
}

static bool ready(void *of, int i) {
  plan *p = of;
  bucket *b = &p->bucket[p->place[i].bucket];
  return --b->missing > 0 || begin_those_ready(p, b);
}

static bool go_on(plan *p, bool *all) {
  *all = true;
  for (int k = 0; k < p->buckets; k++) {
    bucket *b = &p->bucket[k];
    if (is_under_way(b) && !comm_sum_go_on(&b->sum, &b->done)) return false;
    *all = *all && b->done;
  }
  return true;
}

static bool progress(void *of) {
  bool all;
  return go_on(of, &all);
}

static bool finish(void *of) {
  bool all = false;
  for (unsigned round = 1; !all; round++)
    if (!go_on(of, &all) || (!all && !comm_are_here(round))) return false;
  return true;
}

const df_link *comm_link(void) {
  static df_link link;
  link = (df_link){ .version = DF_LINK_VERSION,
                    .rank = comm_rank(),
                    .size = comm_size(),
                    .plan = make,
                    .forget = forget,
                    .begin = begin,
                    .array = array,
                    .ready = ready,
                    .progress = progress,
                    .finish = finish,
                    .share = comm_gather,
                    .fault = comm_fault };
  return &link;
}
