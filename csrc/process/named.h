/* Schedules from papers, by their betas. df_schedule_from checks that betas are in (0,
** 1]. */
#ifndef df_named_h
#define df_named_h

#include "base/base.h"

#define DF_NAMED_NUMBERS 3

typedef struct df_named {
  const char *name;
  int numbers; /* number of parameters, in the order listed in named.c */
  /* fills beta[0..T-1] for t = 1..T */
  void (*fill)(double *beta, df_int T, const double *number);
} df_named;

const df_named *df_named_find(const char *name); /* NULL: no such name */

#endif
