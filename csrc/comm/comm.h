/* Other ranks, over MPI. This room is a module of its own, diffusion/mpi.so. It is the
** only one that knows mpi.h. Functions return false after a failure of MPI, which
** comm_fault tells as a sentence. */
#ifndef comm_h
#define comm_h

#include <mpi.h>

#include "base/link.h"

/* ==== session.c ===================================================================== */

/* Joins the ranks that mpirun started, or is alone. Once. */
bool comm_join(void);
int comm_rank(void);
int comm_size(void);
MPI_Comm comm_world(void);
const char *comm_host(void);
const char *comm_library(void); /* name and version */

/* Keeps the sentence of a failed call; true for MPI_SUCCESS. */
bool comm_fine(int code, const char *call);
bool comm_no_memory(void);           /* false */
bool comm_too_long(df_int elements); /* false */
bool comm_gone(int other);           /* false */
const char *comm_fault(void);

/* Ends all ranks. The text names this rank and its host. */
void comm_end_all(const char *text, int status);

/* ==== wait.c ======================================================================== */

/* Counts a call that involves all ranks, as it begins. */
void comm_call(void);
/* Waits for requests, two at most. It fails if a rank left before it began the calls that
** this one has begun. */
bool comm_wait(int n, MPI_Request *request, const char *call);
/* For loops that wait: false if such a rank is known. It looks every thousandth round. */
bool comm_are_here(unsigned round);
/* Tells other ranks that this one leaves, and waits until they do. */
void comm_say_goodbye(void);

/* ==== all.c ========================================================================= */

bool comm_barrier(void);
bool comm_broadcast(void *data, df_int bytes, int from);
/* `all` has room for the parts of all ranks, whose sizes in bytes are in `bytes`. */
bool comm_gather(const void *part, const df_int *bytes, void *all);
bool comm_gather_counts(df_int own, df_int *all);

/* ==== sum.c ========================================================================= */

/* Messages and bytes that this process sent so far, by its own sends. */
typedef struct comm_traffic {
  int64_t messages, bytes;
} comm_traffic;
comm_traffic comm_sent(void);

/* Tags of messages. Plans have those from COMM_PLANS on. */
enum { COMM_WAITED, COMM_GOODBYE, COMM_PLANS };

typedef enum comm_kind { COMM_F32, COMM_F64, COMM_I64 } comm_kind;

/* The sum of one array over all ranks, in place, in steps that don't wait. Pairs of ranks
** at distances 1, 2, 4 ... are added first, so the order of additions is a binary tree
** over the ranks. */
typedef struct comm_sum {
  void *data, *scratch;
  df_int n;
  comm_kind kind;
  int tag;
  bool in_tree;
  double scale;     /* the sum is multiplied by it, unless it is of integers */
  int stage, level; /* the requests belong to them */
  df_int low[32], high[32];
  MPI_Request request[2];
  int requests;
} comm_sum;

size_t comm_width(comm_kind kind);
df_int comm_sum_scratch(df_int n); /* elements that `scratch` must have */
/* The members before `stage` are set. Sums with one tag run one at a time. */
bool comm_sum_begin(comm_sum *s);
bool comm_sum_go_on(comm_sum *s, bool *done);
bool comm_all_reduce(void *data, df_int n, comm_kind kind); /* waits, in the tree */

/* ==== plan.c ======================================================================== */

const df_link *comm_link(void);

#endif
