/* x[i] and x[{ {1,3}, {}, 2 }] for reading and writing, and iteration. Positions count
** from 1; negative ones count from the end. Slices include both ends, and {2} means {2,
** 2}. */
#include "binding/binding.h"
#include "binding/state.h"

static df_int position(lua_State *L, int at, df_int size, int dim) {
  int whole;
  lua_tointegerx(L, at, &whole);
  if (!whole || lua_type(L, at) != LUA_TNUMBER)
    luaL_error(L,
               "an index is a whole number or a table of them and of ranges {from, to},"
               " got %s",
               dfl_briefly(L, at));
  const char *what = lua_pushfstring(L, "dimension %d", dim);
  df_int i = dfl_position(L, at, size, what);
  lua_pop(L, 1);
  return i;
}

/* Slices by the range on top of the stack. {} is the whole dimension, {at} one position,
** and {from, to} includes both ends; nil is an end. */
static df_tensor *slice(lua_State *L, df_tape *tape, df_tensor *x, int dim, int number) {
  df_int size = x->shape.size[dim], from = 0, to = size - 1;
  int range = lua_gettop(L), n = dfl_list(L, range, 2);
  if (n > 2)
    luaL_error(L, "a range {from, to} for dimension %d has %d numbers", number, n);
  if (lua_rawgeti(L, range, 1) != LUA_TNIL) from = position(L, range + 1, size, number);
  if (lua_rawgeti(L, range, 2) != LUA_TNIL) to = position(L, range + 2, size, number);
  else if (n == 1) to = from;
  lua_settop(L, range);
  if (from > to + 1)
    luaL_error(L, "range {%I, %I} of dimension %d runs backwards; use flip",
               (lua_Integer)from + 1, (lua_Integer)to + 1, number);
  return df_narrow(tape, x, dim, from, to - from + 1);
}

/* The window given by the key (argument 2). */
static df_tensor *window(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  bool list = lua_type(L, 2) == LUA_TTABLE;
  int n = list ? dfl_list(L, 2, 2) : 1, dim = 0;
  if (n > x->shape.ndim)
    luaL_error(L, "%d indices for a tensor %s", n, df_tensor_text(x));
  for (int i = 0; i < n && x; i++) {
    if (list) lua_rawgeti(L, 2, i + 1);
    else lua_pushvalue(L, 2);
    if (lua_type(L, -1) == LUA_TTABLE) x = slice(L, tape, x, dim++, i + 1);
    else
      x = df_select(tape, x, dim, position(L, lua_gettop(L), x->shape.size[dim], i + 1));
    lua_pop(L, 1);
  }
  return x;
}

/* A number read from a tensor that is being recorded would silently become a constant. */
static void check_followed(lua_State *L, const df_tensor *x) {
  if (!df_followed(dfl_tape(L), x)) return;
  dfl_check_open(L, dfl_context(L));
  lua_pushfstring(L,
                  "x[i] of a tensor %s that is being recorded: a plain number would lose "
                  "its gradient; take x:select(dim, i) or x[{ {i, i} }], or "
                  "x:detach()[i] for a constant",
                  df_tensor_text(x));
  dfl_raise_at_user(L);
}

/* One number has no x[i]. ipairs reads x[1] too. */
static void check_dimensions(lua_State *L, const df_tensor *x) {
  if (x->shape.ndim > 0 || lua_type(L, 2) != LUA_TNUMBER) return;
  lua_pushliteral(L, "x[i] of a tensor [], which is one number; x:item() reads it");
  dfl_raise_at_user(L);
}

/* x[#x + 1] reads as nil, so that ipairs ends there. Places beyond it are errors. */
static bool is_end(lua_State *L, const df_tensor *x) {
  int whole;
  lua_Integer i = lua_tointegerx(L, 2, &whole);
  return whole && lua_type(L, 2) == LUA_TNUMBER && x->shape.ndim > 0
         && i == x->shape.size[0] + 1;
}

int dfl_index(lua_State *L) {
  const df_tensor *x = dfl_tensor(L, 1);
  check_dimensions(L, x);
  if (is_end(L, x)) {
    lua_pushnil(L);
    return 1;
  }
  if (lua_type(L, 2) == LUA_TNUMBER && x->shape.ndim == 1) {
    df_int i = position(L, 2, x->shape.size[0], 1);
    check_followed(L, x);
    dfl_push_element(L, x, i * x->stride[0]);
    return 1;
  }
  dfl_run(L, window);
  const df_tensor *y = dfl_tensor(L, -1);
  if (y->shape.ndim > 0 || x->shape.ndim == 0) return 1;
  check_followed(L, x);
  dfl_push_element(L, y, 0);
  return 1;
}

static df_tensor *write_window(lua_State *L, df_tape *tape) {
  df_tensor *y = window(L, tape);
  if (!y) return NULL;
  return df_copy_into(tape, y, dfl_written(L, tape, 3, y)) == DF_OK ? y : NULL;
}

int dfl_newindex(lua_State *L) {
  dfl_run(L, write_window);
  return 0;
}

static int l_next(lua_State *L) {
  const df_tensor *x = dfl_tensor(L, 1);
  lua_Integer i = luaL_checkinteger(L, 2) + 1;
  if (x->shape.ndim == 0 || i > x->shape.size[0]) return 0;
  lua_settop(L, 1);
  lua_pushinteger(L, i);
  dfl_index(L);
  lua_pushinteger(L, i);
  lua_insert(L, -2);
  return 2;
}

/*** Tensor:iter
** Iterates over the first dimension: `for i, xi in x:iter() do`. If x is a vector, each
** xi is a number. Then it raises an error while x is being recorded, like x[i].
** @return function iterator that returns i and x[i] */
static int l_iter(lua_State *L) {
  static const luaL_Reg next = { "next", l_next };
  dfl_at_most(L, 1);
  const df_tensor *x = dfl_tensor(L, 1);
  if (x->shape.ndim == 0)
    return luaL_error(L, "iter: a tensor of no dimensions has nothing to go through");
  lua_pushnil(L);
  dfl_push_function(L, &next);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

static const luaL_Reg methods[] = { { "iter", l_iter }, { NULL, NULL } };

void dfl_open_index(lua_State *L) { dfl_methods(L, methods); }
