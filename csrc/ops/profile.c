/* The profile: seconds, calls and kept bytes of each op. */
#include "ops/profile.h"

#include <time.h>

#include "ops/inside.h"

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The row of an op. When the table is full, all new ops share the last row. */
static df_profile_row *row_of(df_profile *p, const char *name, bool backward) {
  int i = 0;
  while (i < p->rows && (p->row[i].name != name || p->row[i].backward != backward)) i++;
  if (i == DF_PROFILED) return &p->row[DF_PROFILED - 1];
  if (i == p->rows) p->row[p->rows++] = (df_profile_row){ name, backward, 0, 0, 0 };
  return &p->row[i];
}

void df_profile_op(df_profile *p, const char *name, bool backward) {
  if (!p->on) return;
  double now = seconds();
  df_profile_row *row = row_of(p, name, backward);
  row->seconds += now - p->since;
  row->calls++;
  p->since = now;
}

/* A record that is walked within another's backward pass keeps only what it was given. */
void df_profile_kept(df_tape *tape, const df_record *r) {
  df_profile *p = &tape->profile;
  if (!p->on) return;
  for (const df_record *other = tape->records; other; other = other->next)
    if (other->walking) return;
  for (size_t i = 0; i < r->n_nodes; i++)
    if (r->nodes[i])
      row_of(p, r->nodes[i]->op->name, false)->kept += df_record_kept(r, i);
}

void df_profile_spent(df_tape *tape, const char *name) {
  df_profile_op(&tape->profile, name, false);
}

void df_profile_start(df_tape *tape) {
  df_profile *p = &tape->profile;
  p->rows = 0;
  p->on = true;
  p->since = seconds();
}

int df_profile_stop(df_tape *tape, const df_profile_row **rows) {
  tape->profile.on = false;
  *rows = tape->profile.row;
  return tape->profile.rows;
}
