/* The profile: where time goes, and which ops keep memory for the backward pass. */
#ifndef df_profile_h
#define df_profile_h

#include "ops/tape.h"

#define DF_PROFILED 128 /* rows at most */

typedef struct df_profile_row {
  const char *name;
  bool backward;
  double seconds;
  long calls;
  size_t kept; /* bytes that nodes of this op were the first to keep */
} df_profile_row;

typedef struct df_profile {
  bool on;
  double since; /* when the last op ended */
  df_profile_row row[DF_PROFILED];
  int rows;
} df_profile;

void df_profile_start(df_tape *tape);
/* Counts the time since the last op ended for work that is not an op. name is a
** literal. */
void df_profile_spent(df_tape *tape, const char *name);
/* Stops and returns the number of rows, which stay valid until the next start. */
int df_profile_stop(df_tape *tape, const df_profile_row **rows);

/* For the tape: an op ended, and all time since the last one was its. name is a
** literal. */
void df_profile_op(df_profile *p, const char *name, bool backward);
/* For the tape: a walk over r begins. */
void df_profile_kept(df_tape *tape, const df_record *r);

#endif
