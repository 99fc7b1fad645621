/* The watch finds the op that first gave NaN or infinity. */
#ifndef df_watch_h
#define df_watch_h

#include "ops/tape.h"

typedef struct df_watch {
  bool on;
  const char *nonfinite_op; /* the op that was found, or NULL */
  df_tensor *parameter;     /* the last that an op used so far, retained */
} df_watch;

void df_watch_start(df_tape *tape);
/* Returns the first op whose result was not finite, or NULL. *parameter is the last
** parameter that was used until then, retained, or NULL. */
const char *df_watch_stop(df_tape *tape, df_tensor **parameter);

/* For the tape: an op made y. */
void df_watch_op(df_watch *w, const df_tensor *y, const df_note *note);
void df_watch_clear(df_watch *w);

#endif
