/* The fields of a tape. Only the files that make it up know them. */
#ifndef df_inside_h
#define df_inside_h

#include "ops/record.h"

#define PROFILED 128

struct df_tape {
  df_precision precision;
  df_counters random;
  df_tensor **owned; /* by the open scopes, oldest first */
  size_t n_owned, owned_room;
  df_record **stack; /* records being recorded, innermost last; NULL: not recording */
  size_t depth, stack_room;
  df_record *records; /* all that exist */
  df_reached reached; /* by the walk that is under way */
  uint64_t serial;
  bool watching, profiling;
  const char *sick;        /* the op that the watch found */
  df_tensor *watched_leaf; /* the last parameter that an op used */
  double since;
  df_profile_row profile[PROFILED];
  int profiled;
};

#endif
