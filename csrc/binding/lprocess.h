/* What schedules and processes share in the binding: reading levels, and answering in
** double where the user gave numbers, in tensors where lists or tensors. */
#ifndef dfl_process_h
#define dfl_process_h

#include "binding/binding.h"
#include "process/schedule.h"

#define DFL_SCHEDULE_BOX "diffusion.schedule"

/* Every function here takes at most DFL_ARGS arguments and keeps this stack. */
enum { DFL_ARGS = 5, DFL_SCHEDULE, DFL_LEVELS, DFL_PLAN }; /* stack slots */

/* The levels t, and the cleaner levels s of the same steps. */
typedef struct dfl_levels {
  bool number; /* the user gave numbers: n = 1, answers are numbers */
  df_int n;
  df_shape shape;   /* of answers: that of the tensor given, {n} of a list */
  const double *at; /* the t themselves */
  df_level *t, *s;
} dfl_levels;

enum { DFL_NO_S = 0 };
typedef enum dfl_default { DFL_S_PREVIOUS, DFL_S_CLEAN } dfl_default;

/* Reads t (least <= t <= T) from one argument and s (0 <= s < t) from another, absent
** t - 1 or 0; DFL_NO_S: s is 0. Fills the stack up to DFL_LEVELS; DFL_SCHEDULE holds the
** schedule. */
const dfl_levels *dfl_levels_of(lua_State *L, int t_arg, double least, int s_arg,
                                dfl_default otherwise);

const df_schedule *dfl_schedule(lua_State *L, int arg);

/* The shape of what was given at an argument, of n numbers. */
df_shape dfl_shape_of(lua_State *L, int arg, df_int n);

/* Numbers that the caller fills, at DFL_PLAN; then pushed: one number, or a tensor. */
double *dfl_column(lua_State *L, const df_shape *shape);
int dfl_push_column(lua_State *L, bool number);

#endif
