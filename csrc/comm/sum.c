/* Sums over ranks: recursive halving, then recursive doubling. Both go through distances
** 1, 2, 4 ..., and a + b has the bits of b + a. So an element's sum is that of a binary
** tree over the ranks, as if one rank had added in that order. The last addition scales
** it. Ranks beyond the largest power of two give their array to another rank first, and
** get the sum at the end. */
#include <stdlib.h>

#include "comm/comm.h"

enum { FOLD = 1, HALVE, DOUBLE, UNFOLD, EXCHANGE, LIBRARY, DONE };

/* Arrays of up to so many elements are exchanged whole, in half the steps. */
#define SHORT 4096

static comm_traffic sent;

comm_traffic comm_sent(void) { return sent; }

size_t comm_width(comm_kind kind) { return kind == COMM_F32 ? 4 : 8; }

static MPI_Datatype type_of(comm_kind kind) {
  if (kind == COMM_F32) return MPI_FLOAT;
  return kind == COMM_F64 ? MPI_DOUBLE : MPI_INT64_T;
}

/* ==== arithmetic ==================================================================== */

static void add_f32(float *to, const float *from, float scale, df_int n) {
  for (df_int i = 0; i < n; i++) to[i] = (to[i] + from[i]) * scale;
}

static void add_f64(double *to, const double *from, double scale, df_int n) {
  for (df_int i = 0; i < n; i++) to[i] = (to[i] + from[i]) * scale;
}

static void scale_f32(float *to, float scale, df_int n) {
  for (df_int i = 0; i < n; i++) to[i] *= scale;
}

static void scale_f64(double *to, double scale, df_int n) {
  for (df_int i = 0; i < n; i++) to[i] *= scale;
}

/* Whole numbers wrap as elsewhere in the library. */
static void add_i64(uint64_t *to, const uint64_t *from, df_int n) {
  for (df_int i = 0; i < n; i++) to[i] += from[i];
}

static void *element(const comm_sum *s, df_int i) {
  return (char *)s->data + (size_t)i * comm_width(s->kind);
}

static void add(const comm_sum *s, df_int low, df_int high, double scale) {
  void *to = element(s, low);
  if (s->kind == COMM_F32) add_f32(to, s->scratch, (float)scale, high - low);
  else if (s->kind == COMM_F64) add_f64(to, s->scratch, scale, high - low);
  else add_i64(to, s->scratch, high - low);
}

/* The sum of one rank, or by MPI itself. */
static void scale(const comm_sum *s) {
  if (s->scale == 1) return;
  if (s->kind == COMM_F32) scale_f32(s->data, (float)s->scale, s->n);
  else if (s->kind == COMM_F64) scale_f64(s->data, s->scale, s->n);
}

/* ==== messages ====================================================================== */

static bool post(comm_sum *s, int partner, const void *out, df_int n_out, void *in,
                 df_int n_in) {
  MPI_Datatype type = type_of(s->kind);
  s->requests = 0;
  if (n_in > 0
      && !comm_fine(MPI_Irecv(in, (int)n_in, type, partner, s->tag, comm_world(),
                              &s->request[s->requests++]),
                    "MPI_Irecv"))
    return false;
  if (n_out == 0) return true;
  sent.messages++;
  sent.bytes += (int64_t)n_out * (int64_t)comm_width(s->kind);
  return comm_fine(MPI_Isend(out, (int)n_out, type, partner, s->tag, comm_world(),
                             &s->request[s->requests++]),
                   "MPI_Isend");
}

/* ==== the stages ==================================================================== */

static int levels(void) {
  int l = 0;
  while (comm_size() >> (l + 1)) l++;
  return l;
}

/* The rank among those of the tree: the first 2^levels. */
static bool is_beyond(void) { return comm_rank() >> levels(); }

static bool has_beyond(void) { return comm_rank() + (1 << levels()) < comm_size(); }

static bool halve(comm_sum *s) {
  const int l = s->level, partner = comm_rank() ^ (1 << l);
  const df_int low = s->low[l], high = s->high[l], middle = low + (high - low) / 2;
  const bool upper = comm_rank() >> l & 1;
  s->stage = HALVE;
  s->low[l + 1] = upper ? middle : low;
  s->high[l + 1] = upper ? high : middle;
  return upper
             ? post(s, partner, element(s, low), middle - low, s->scratch, high - middle)
             : post(s, partner, element(s, middle), high - middle, s->scratch,
                    middle - low);
}

static bool twice(comm_sum *s) {
  const int l = s->level, partner = comm_rank() ^ (1 << l);
  const df_int low = s->low[l], high = s->high[l];
  const df_int own = s->low[l + 1], end = s->high[l + 1];
  const bool upper = comm_rank() >> l & 1;
  s->stage = DOUBLE;
  return upper
             ? post(s, partner, element(s, own), end - own, element(s, low), own - low)
             : post(s, partner, element(s, own), end - own, element(s, end), high - end);
}

static bool exchange(comm_sum *s) {
  s->stage = EXCHANGE;
  return post(s, comm_rank() ^ (1 << s->level), s->data, s->n, s->scratch, s->n);
}

static bool unfold(comm_sum *s) {
  const int beyond = comm_rank() + (1 << levels());
  s->stage = UNFOLD;
  s->requests = 0;
  return !has_beyond() || post(s, beyond, s->data, s->n, NULL, 0);
}

static bool enter_tree(comm_sum *s) {
  s->level = 0;
  if (levels() == 0) {
    scale(s);
    return unfold(s);
  }
  s->low[0] = 0, s->high[0] = s->n;
  return s->n <= SHORT ? exchange(s) : halve(s);
}

static bool fold(comm_sum *s) {
  const int other =
      is_beyond() ? comm_rank() - (1 << levels()) : comm_rank() + (1 << levels());
  s->stage = FOLD;
  s->requests = 0;
  if (is_beyond()) return post(s, other, s->data, s->n, NULL, 0);
  return !has_beyond() || post(s, other, NULL, 0, s->scratch, s->n);
}

/* The factor of an addition of the tree. */
static double scale_of(const comm_sum *s) {
  return s->level == levels() - 1 ? s->scale : 1;
}

/* The messages of a stage have arrived: what follows. */
static bool next(comm_sum *s) {
  switch (s->stage) {
  case FOLD:
    if (is_beyond()) {
      s->stage = UNFOLD;
      return post(s, comm_rank() - (1 << levels()), NULL, 0, s->data, s->n);
    }
    if (has_beyond()) add(s, 0, s->n, 1);
    return enter_tree(s);
  case HALVE:
    add(s, s->low[s->level + 1], s->high[s->level + 1], scale_of(s));
    return ++s->level < levels() ? halve(s) : (s->level--, twice(s));
  case DOUBLE: return s->level-- > 0 ? twice(s) : unfold(s);
  case EXCHANGE:
    add(s, 0, s->n, scale_of(s));
    return ++s->level < levels() ? exchange(s) : unfold(s);
  case LIBRARY: scale(s); /* fallthrough */
  default: s->stage = DONE; return true;
  }
}

/* ==== running ======================================================================= */

df_int comm_sum_scratch(df_int n) {
  const bool whole = n <= SHORT || 1 << levels() != comm_size();
  return whole ? n : n / 2 + 1;
}

static bool begin_library(comm_sum *s) {
  s->stage = LIBRARY;
  s->requests = 1;
  return comm_fine(MPI_Iallreduce(MPI_IN_PLACE, s->data, (int)s->n, type_of(s->kind),
                                  MPI_SUM, comm_world(), &s->request[0]),
                   "MPI_Iallreduce");
}

bool comm_sum_begin(comm_sum *s) {
  comm_call();
  return s->in_tree ? fold(s) : begin_library(s);
}

bool comm_sum_go_on(comm_sum *s, bool *done) {
  MPI_Status status[2]; /* MPICH's constant for none makes gcc warn */
  int all = 1;
  *done = false;
  while (s->stage != DONE) {
    if (s->requests > 0
        && !comm_fine(MPI_Testall(s->requests, s->request, &all, status), "MPI_Testall"))
      return false;
    if (!all) return true;
    s->requests = 0;
    if (!next(s)) return false;
  }
  *done = true;
  return true;
}

static bool run(comm_sum *s) {
  bool done = false;
  bool fine = comm_sum_begin(s);
  for (unsigned round = 1; fine && !done; round++)
    fine = comm_sum_go_on(s, &done) && (done || comm_are_here(round));
  return fine;
}

#define PART ((df_int)1 << 26) /* elements of a sum, whose messages count in ints */

bool comm_all_reduce(void *data, df_int n, comm_kind kind) {
  const df_int part = df_min(n, PART);
  void *scratch = malloc((size_t)comm_sum_scratch(part) * comm_width(kind) + 1);
  bool fine = scratch || comm_no_memory();
  for (df_int at = 0; at < n && fine; at += PART) {
    comm_sum s = { .data = (char *)data + (size_t)at * comm_width(kind),
                   .scratch = scratch,
                   .n = df_min(part, n - at),
                   .kind = kind,
                   .tag = COMM_WAITED,
                   .in_tree = true,
                   .scale = 1 };
    fine = run(&s);
  }
  if (fine) free(scratch); /* else MPI may still write to it */
  return fine;
}
