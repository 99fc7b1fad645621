/* Gradients of a batch that is cut into parts, on this rank and on others. Each part's
** gradient is computed as if it were alone. The parts are summed in a fixed binary tree,
** so the sum has the same bits on any number of ranks. */
#ifndef df_over_h
#define df_over_h

#include "base/link.h"
#include "nn/home.h"
#include "ops/walk.h"

#define DF_OVER_LEVELS 32

/* The memory of the sums, which gradients are windows on. */
typedef struct df_over_world {
  int refs;
  const df_link *link;
  void *plan;
} df_over_world;

typedef struct df_over_param {
  df_param *param;
  df_int at;         /* in the sums of parts, in elements */
  df_tensor *window; /* on the sum over all ranks, which becomes the gradient */
  df_tensor *before; /* the gradient of earlier passes, while one is under way; or NULL */
  int walks;         /* backward passes that it has */
  bool carried;      /* this part's gradient is in the sums */
} df_over_param;

typedef struct df_over {
  df_follower follower;
  df_tape *tape;
  df_over_world *world;
  df_over_param *param; /* in the order in which their gradients are expected */
  int n;
  df_int count;                 /* elements of a level */
  df_real *sum[DF_OVER_LEVELS]; /* 2^level parts that are done; NULL until it is needed */
  int part, parts;              /* under way, of those of this rank */
  int together;                 /* parts of the batch in each of these */
  double loss_of[DF_OVER_LEVELS];
  double loss;  /* mean of the last batch, over all ranks */
  bool stop;    /* this rank wishes to stop */
  bool stopped; /* a rank wished to, as of the last batch */
  bool under_way, broken;
  bool reached; /* the pass is about these parameters */
} df_over;

/* Sums the gradients of the parameters that are trainable now. None may be summed by
** another. It follows the tape's backward passes until it is freed. */
df_over *df_over_new(df_tape *tape, const df_link *link, df_home *const *home, int homes,
                     const df_plan_opts *opts);
void df_over_free(df_over *o); /* NULL is fine. Set o->tape to NULL if it is gone. */

/* In a backward pass, before and after the walk of part k of n, from 0. */
df_code df_over_begin_part(df_over *o, int k, int n, double loss);
df_code df_over_end_part(df_over *o);

/* The same before a walk of n parts together (ops/parts.h); loss is the sum of theirs. */
df_code df_over_begin_together(df_over *o, int n, double loss);

/* The name of a parameter that the pass under way has reached, whose gradient no df_over
** sums. NULL: there is none. */
const char *df_over_unsummed(const df_tape *tape);

#endif
