/* The schedules that papers name, by their betas. Whether these lie in (0, 1] is checked
** when a schedule is made of them. */
#ifndef df_named_h
#define df_named_h

#include "base/base.h"

#define DF_NAMED_NUMBERS 3

typedef struct df_named {
  const char *name;
  int numbers; /* of its own, in the order of the comment in named.c */
  /* fills beta[0..T-1], of t = 1..T */
  void (*fill)(double *beta, df_int T, const double *number);
} df_named;

const df_named *df_named_find(const char *name); /* NULL: no such name */

#endif
