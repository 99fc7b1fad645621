/* The list of algorithms, best first, and the choice among them. */
#include "engine/conv.h"

#include <stdatomic.h>
#include <string.h>

#include "engine/conv_few.h"
#include "engine/conv_rows.h"
#include "engine/conv_tap.h"
#include "engine/conv_tile.h"
#include "engine/conv_winograd.h"
#include "engine/conv_winograd_short.h"
#include "engine/conv_winograd_taps.h"

static const df_algorithm *const list[] = {
  /* A third of the multiplications in bf16, at 0.8 of their rate. */
  &df_conv_winograd_short,
  /* bf16 at 2 to 10 times the rate of reals, if the machine multiplies it. */
  &df_conv_tiles,
  /* A 1 x 1 kernel is one product of matrices: nothing is shifted, nothing padded. */
  &df_conv_rows,
  /* One to three outputs become 9 to 27 columns: 3 to 4 times the speed of taps. */
  &df_conv_few,
  /* They do a quarter of the multiplications, at 0.55 of their rate: 2.3 times the speed
  ** of taps (engine.h), within 1e-5. Which of them doesn't matter to the bits. */
  &df_conv_winograd_taps,
  &df_conv_winograd,
  /* It can do all: 3 x 3 at 0.9 of a core's multiplications, nothing copied. */
  &df_conv_taps,
};
#define COUNT ((int)(sizeof list / sizeof *list))

static _Atomic(const df_algorithm *) forced;

/* The first that can do it and pays. If no form is given, x has the algorithm's own. */
static const df_algorithm *choose(const df_conv *c, df_direction d, const df_form *x) {
  const df_algorithm *wanted = atomic_load_explicit(&forced, memory_order_relaxed);
  if (wanted && wanted->can(c, d, x ? *x : wanted->form(c))) return wanted;
  for (int i = 0; i < COUNT - 1; i++) {
    const df_algorithm *a = list[i];
    if (a->can(c, d, x ? *x : a->form(c)) && a->pays(c, d)) return a;
  }
  /* a form that only its own algorithm reads is read by it, even if slowly */
  int last = COUNT - 1;
  while (last > 0 && x && !list[last]->can(c, d, *x)) last--;
  return list[last];
}

const df_algorithm *df_conv_choose(const df_conv *c, df_direction d, df_form x) {
  return choose(c, d, &x);
}

/* The verification build keeps to rows; the forms are tested against it. */
df_form df_conv_form(const df_conv *c) {
  return sizeof(df_real) == sizeof(float) ? choose(c, DF_FORWARD, NULL)->form(c)
                                          : DF_ROWS;
}

const char *const *df_conv_names(void) {
  static _Thread_local const char *name[COUNT + 1];
  for (int i = 0; i < COUNT; i++) name[i] = list[i]->name;
  return name;
}

const char *df_conv_forced(void) {
  const df_algorithm *a = atomic_load(&forced);
  return a ? a->name : NULL;
}

df_code df_conv_force(const char *name) {
  char names[128] = "";
  if (!name) return atomic_store(&forced, NULL), DF_OK;
  for (int i = 0; i < COUNT; i++) {
    if (strcmp(list[i]->name, name) == 0) return atomic_store(&forced, list[i]), DF_OK;
    if (i > 0) strcat(names, ", ");
    strcat(names, list[i]->name);
  }
  return df_fail(DF_MISUSE, "algorithm %s: there are %s", name, names);
}
