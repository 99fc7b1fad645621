/* The fields of a tape. Only the files that it is made of know them: context, tape, note,
** walk, mark, watch, profile. */
#ifndef df_inside_h
#define df_inside_h

#include "ops/profile.h"
#include "ops/record.h"
#include "ops/watch.h"

struct df_tape {
  df_precision precision;
  df_counters random;
  df_tensor **owned; /* by the open scopes, oldest first */
  size_t n_owned, owned_room;
  df_record **stack; /* records being recorded, innermost last; NULL: not recording */
  size_t depth, stack_room;
  df_record *records; /* all that exist */
  df_reached reached; /* by the walk that is under way */
  uint64_t serial;    /* the last number given to a record or walk */
  df_watch watch;
  df_profile profile;
};

df_record *df_tape_innermost(const df_tape *tape); /* NULL: not recording */

#endif
