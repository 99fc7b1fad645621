/* Shared by schedules and processes: reading levels, and returning results. Results are
** doubles if the user gave numbers, and tensors if the user gave lists or tensors. */
#ifndef dfl_process_h
#define dfl_process_h

#include "binding/binding.h"
#include "process/schedule.h"

#define DFL_SCHEDULE_BOX "diffusion.schedule"

/* Every function here takes at most DFL_ARGS arguments and uses this stack layout. */
enum { DFL_ARGS = 5, DFL_SCHEDULE, DFL_LEVELS, DFL_PLAN }; /* stack slots */

/* The levels t, and the cleaner levels s of the same steps. */
typedef struct dfl_levels {
  bool number; /* the user gave numbers: n = 1, and results are numbers */
  df_int n;
  df_shape shape;   /* result shape: that of the given tensor, or {n} for a list */
  const double *at; /* the values of t */
  df_level *t, *s;
} dfl_levels;

enum { DFL_NO_S = 0 };
typedef enum dfl_default { DFL_S_PREVIOUS, DFL_S_CLEAN } dfl_default;

/* Reads t (least <= t <= T) from one argument and s (0 <= s < t) from another. If s is
** absent it is t - 1 or 0; with DFL_NO_S it is 0. Fills the stack up to DFL_LEVELS.
** DFL_SCHEDULE must hold the schedule. */
const dfl_levels *dfl_levels_of(lua_State *L, int t_arg, double least, int s_arg,
                                dfl_default otherwise);

const df_schedule *dfl_schedule(lua_State *L, int arg);

/* The shape of the value at an argument, which has n numbers. */
df_shape dfl_shape_of(lua_State *L, int arg, df_int n);

/* Creates a column of numbers at DFL_PLAN for the caller to fill. dfl_push_column then
** pushes one number or a tensor. */
double *dfl_column(lua_State *L, const df_shape *shape);
int dfl_push_column(lua_State *L, bool number);

#endif
