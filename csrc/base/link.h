/* How a module of its own, such as diffusion/mpi.so, sums gradients over ranks. The core
** never links such a module. It gets this table from Lua. */
#ifndef df_link_h
#define df_link_h

#include "base/base.h"

#define DF_LINK_VERSION 3

typedef struct df_plan_opts {
  int width;    /* bytes of an element: 4, float, or 8, double */
  df_int most;  /* elements of a bucket, if a single array has no more */
  bool in_tree; /* one order of additions for any number of ranks, else the fastest */
  void *(*alloc)(size_t bytes); /* the core has large pages */
  void (*free)(void *memory);   /* NULL is fine */
} df_plan_opts;

/* A plan has n arrays, and the same ones on all ranks. Each round sums all of them.
** Functions return false after a failure, which `fault` tells as a sentence. */
typedef struct df_link {
  int version, rank, size;
  void *(*plan)(const df_int *count, int n, const df_plan_opts *opts);
  void (*forget)(void *plan);
  /* A round, whose sums are multiplied by scale. Again: before any array is ready. */
  void (*begin)(void *plan, double scale);
  /* The memory of array i: this rank's, until it is ready, and the sum at the end. */
  void *(*array)(const void *plan, int i);
  bool (*ready)(void *plan, int i); /* array i of this rank is complete */
  bool (*progress)(void *plan);     /* short; call it often */
  bool (*finish)(void *plan);       /* waits for all sums */
  /* `all` holds the parts of all ranks, of so many bytes each, once this rank's is there.
  ** `part` is where it is, or its place in `all`. */
  bool (*share)(const void *part, const df_int *bytes, void *all);
  const char *(*fault)(void);
} df_link;

#endif
