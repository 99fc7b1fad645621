/* d.mix(c1, x1, c2, x2, ...): coefficients are numbers, or lists or tensors of one per
** sample. */
#include "binding/binding.h"

static df_tensor *run_mix(lua_State *L, df_tape *tape) {
  df_term term[DF_TERMS_MAX];
  int n = lua_gettop(L), terms = n / 2;
  if (n == 0 || n % 2)
    luaL_error(L, "mix: pairs of coefficient and tensor expected, got %d arguments", n);
  if (terms > DF_TERMS_MAX)
    luaL_error(L, "mix: at most %d terms, got %d", DF_TERMS_MAX, terms);
  for (int i = 0; i < terms; i++) {
    term[i].x = dfl_tensor(L, 2 * i + 2);
    term[i].c = dfl_doubles(L, 2 * i + 1, &term[i].n);
  }
  return df_mix(tape, term, terms, NULL);
}

static const dfl_op rows[] = {
  { "mix", run_mix,
    "2, x{3,4}; 0.5, x{2,3,2}, -2, x{2,3,2}; {1,2,3}, x{3,2}, 0.3, x{3,2}, {0,1,-1}, "
    "x{3,2}" },
  { NULL, NULL, NULL },
};

void dfl_open_mix(lua_State *L) { dfl_ops(L, rows); }
