/* Sums, extremes and order: methods of the form x:sum(dim, keep), over all elements where
** no dimension is named. */
#include "binding/binding.h"

typedef df_tensor *folder(df_tape *tape, df_tensor *x, unsigned dims, bool keep);

static df_tensor *fold(lua_State *L, df_tape *tape, folder *f) {
  df_tensor *x = dfl_tensor(L, 1);
  return f(tape, x, dfl_dims(L, 2, x), dfl_flag(L, 3));
}

static df_tensor *run_sum(lua_State *L, df_tape *tape) { return fold(L, tape, df_sum); }
static df_tensor *run_mean(lua_State *L, df_tape *tape) { return fold(L, tape, df_mean); }
static df_tensor *run_norm(lua_State *L, df_tape *tape) { return fold(L, tape, df_norm); }
static df_tensor *run_max(lua_State *L, df_tape *tape) {
  return fold(L, tape, df_largest);
}
static df_tensor *run_min(lua_State *L, df_tape *tape) {
  return fold(L, tape, df_smallest);
}

/* var(dim, keep, correction = 1) */
static df_tensor *run_var(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  int correction = (int)luaL_optinteger(L, 4, 1);
  return df_var(tape, x, dfl_dims(L, 2, x), dfl_flag(L, 3), correction);
}

static df_tensor *run_std(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  int correction = (int)luaL_optinteger(L, 4, 1);
  return df_std(tape, x, dfl_dims(L, 2, x), dfl_flag(L, 3), correction);
}

static const dfl_op rows[] = {
  { "sum", run_sum, "x{2,3}; x{2,3}, 1; x{2,3,2}, {1,3}, true; x{2,3,2}, 2; x{}" },
  { "mean", run_mean, "x{2,3}; x{2,3}, 2, true; x{2,3,2}, {2,3}" },
  { "var", run_var, "x{2,3}; x{2,3}, 2; x{2,3,2}, {1,3}, true, 0" },
  { "std", run_std, "x{2,3}; x{2,3}, 2; x{2,3,2}, {1,3}, true, 0" },
  { "norm", run_norm, "x{2,3}; x{2,3}, 1; x{2,3,2}, {2,3}, true" },
  { "max", run_max, "x{2,3}; x{2,3}, 1; x{2,3,2}, {1,3}, true" },
  { "min", run_min, "x{2,3}; x{2,3}, 2, true; x{2,3,2}, {1,2}" },
  { NULL, NULL, NULL },
};

/* ==== truth ============================================================================== */

/* 1 where the extreme of x ~= 0 is 1 */
static df_tensor *truth(lua_State *L, df_tape *tape, folder *f) {
  df_shape none = { .ndim = 0 };
  df_tensor *x = dfl_tensor(L, 1),
            *zero = df_scope_own(tape, df_tensor_new(DF_I64, &none));
  if (!zero || df_fill_into(tape, zero, 0) != DF_OK) return NULL;
  df_tensor *mask = df_compare(tape, "ne", x, zero);
  if (!mask) return NULL;
  return df_to(tape, f(tape, mask, dfl_dims(L, 2, x), dfl_flag(L, 3)), DF_U8);
}

static df_tensor *make_any(lua_State *L, df_tape *tape) {
  return truth(L, tape, df_largest);
}
static df_tensor *make_all(lua_State *L, df_tape *tape) {
  return truth(L, tape, df_smallest);
}

/* Of all elements a boolean, along a dimension a mask. */
static int answer(lua_State *L, dfl_maker *make, bool of_nothing) {
  const df_tensor *x = dfl_tensor(L, 1);
  bool whole = lua_isnoneornil(L, 2), result = of_nothing;
  if (!whole || df_tensor_count(x) > 0) dfl_run(L, make);
  if (!whole) return 1;
  if (df_tensor_count(x) > 0) result = *(uint8_t *)df_tensor_data(dfl_tensor(L, -1));
  lua_pushboolean(L, result);
  return 1;
}

static int l_any(lua_State *L) { return answer(L, make_any, false); }
static int l_all(lua_State *L) { return answer(L, make_all, true); }

static const luaL_Reg methods[] = {
  { "any", l_any },
  { "all", l_all },
  { NULL, NULL },
};

void dfl_open_reduce(lua_State *L) {
  dfl_ops(L, rows);
  dfl_methods(L, methods);
}
