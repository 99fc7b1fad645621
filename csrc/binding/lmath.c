/* Arithmetic: functions of one and two numbers, comparisons, choice, and writing in
** place. A whole number beside whole numbers stays one. */
#include <math.h>

#include "binding/binding.h"

static const char *row_name(lua_State *L) {
  const dfl_op *row = lua_touserdata(L, lua_upvalueindex(1));
  return row->name;
}

static bool is_whole(lua_State *L, int arg, df_tensor *other) {
  int whole;
  lua_tointegerx(L, arg, &whole);
  return whole && other && !df_dtype_is_float(other->dtype);
}

/* The operand at arg, which stands beside the one at `beside`. */
static df_tensor *operand(lua_State *L, df_tape *tape, int arg, int beside) {
  bool number = lua_type(L, arg) == LUA_TNUMBER;
  if (number && is_whole(L, arg, dfl_test(L, beside))) return dfl_whole(L, tape, arg);
  return dfl_operand(L, tape, arg);
}

/* ==== rows ========================================================================== */

/*** Tensor:neg abs sign floor round exp log sqrt reciprocal square sin cos tanh erf erfc
**   silu relu gelu sigmoid
** That function of each element. round: half to even; gelu: x Phi(x), the exact one;
** silu: x / (1 + e^-x).
** @return diffusion.tensor of the same shape */
static df_tensor *run_unary(lua_State *L, df_tape *tape) {
  return df_unary_of(tape, df_unary_find(row_name(L)), dfl_tensor(L, 1));
}

/*** Tensor:add sub mul div maximum minimum
** Element by element, also as + - * /; sizes of 1 and missing first dimensions stretch.
** Whole numbers stay whole (i64) under add, sub and mul.
** @param y diffusion.tensor or a number
** @return diffusion.tensor
** @error where sizes differ and neither is 1 */
static df_tensor *run_binary(lua_State *L, df_tape *tape) {
  df_tensor *a = operand(L, tape, 1, 2), *b = operand(L, tape, 2, 1);
  return df_binary_of(tape, df_binary_find(row_name(L)), a, b);
}

/*** Tensor:pow
** x ^ p element by element.
** @param p diffusion.tensor or a number
** @return diffusion.tensor */
static df_tensor *run_pow(lua_State *L, df_tape *tape) {
  df_tensor *a = operand(L, tape, 1, 2), *b = operand(L, tape, 2, 1);
  return df_pow(tape, a, b);
}

/*** Tensor:eq ne lt le gt ge
** A mask (u8): 1 where x stands so to y, else 0. NaN is ne to all.
** @param y diffusion.tensor or a number
** @return diffusion.tensor */
static df_tensor *run_compare(lua_State *L, df_tape *tape) {
  df_tensor *a = operand(L, tape, 1, 2), *b = operand(L, tape, 2, 1);
  return df_compare(tape, row_name(L), a, b);
}

/*** Tensor:clamp
** min(max(x, low), high).
** @param low? number none: no bound
** @param high? number none: no bound
** @return diffusion.tensor of the same shape */
static df_tensor *run_clamp(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  double low = luaL_optnumber(L, 2, -INFINITY), high = luaL_optnumber(L, 3, INFINITY);
  return df_clamp(tape, x, low, high);
}

/*** Tensor:isfinite
** A mask (u8): 1 where x is neither NaN nor infinite.
** @return diffusion.tensor of the same shape */
static df_tensor *run_isfinite(lua_State *L, df_tape *tape) {
  return df_isfinite(tape, dfl_tensor(L, 1));
}

/*** d.where
** x where the mask isn't 0, y elsewhere; the three stretch to one shape.
** @param mask diffusion.tensor
** @param x diffusion.tensor or a number
** @param y diffusion.tensor or a number
** @return diffusion.tensor */
static df_tensor *run_where(lua_State *L, df_tape *tape) {
  df_tensor *mask = dfl_tensor(L, 1);
  df_tensor *a = operand(L, tape, 2, 3), *b = operand(L, tape, 3, 2);
  return df_where(tape, mask, a, b);
}

static const dfl_op rows[] = {
  { "neg", run_unary, "x{2,3}" },
  { "abs", run_unary, "away{2,3}" },
  { "sign", run_unary, NULL },
  { "floor", run_unary, NULL },
  { "round", run_unary, NULL },
  { "exp", run_unary, "x{2,3}" },
  { "log", run_unary, "pos{2,3}" },
  { "sqrt", run_unary, "pos{2,3}" },
  { "reciprocal", run_unary, "away{2,3}" },
  { "square", run_unary, "x{2,3}; x{3,2}:t()" },
  { "sin", run_unary, "x{2,3}" },
  { "cos", run_unary, "x{2,3}" },
  { "tanh", run_unary, "x{2,3}" },
  { "erf", run_unary, "x{2,3}" },
  { "erfc", run_unary, "x{2,3}" },
  { "silu", run_unary, "x{2,3}" },
  { "relu", run_unary, "away{2,3}" },
  { "gelu", run_unary, "x{2,3}" },
  { "sigmoid", run_unary, "x{2,3}" },
  { "add", run_binary, "x{2,3}, x{2,3}; x{2,3}, x{3}; x{2,1,3}, x{2,1}; x{2}, 1.5" },
  { "sub", run_binary, "x{2,3}, x{2,3}; x{3}, x{2,3}; x{2,3,2,2}, x{2,1,1,2}; 2, x{3}" },
  { "mul", run_binary,
    "x{2,3}, x{2,3}; x{2,3}, x{3}; x{2,1,1,3}, x{2,2,2,3}; x{}, x{2}" },
  { "div", run_binary, "x{2,3}, away{2,3}; x{2,3}, away{3}; x{2,1,3}, away{2,2,1}" },
  { "maximum", run_binary, "x{2,3}, x{2,3}; x{2,3}, x{3}" },
  { "minimum", run_binary, "x{2,3}, x{2,3}; x{1,3}, x{2,1}" },
  { "pow", run_pow,
    "pos{2,3}, x{2,3}; pos{2,3}, x{3}; x{3}, 2; x{3}, 3; pos{3}, 0.5; away{3}, -1; "
    "2, x{3}" },
  { "clamp", run_clamp, "x{2,3}, -0.5, 0.5; x{2,3}, nil, 0.1; x{2,3}, 0.1" },
  { "where", run_where,
    "int{0,1,{2,3}}, x{2,3}, x{2,3}; int{0,1,{3}}, x{2,1}, 2; int{0,1,{2,1}}, x{}, "
    "x{3}" },
  { "eq", run_compare, NULL },
  { "ne", run_compare, NULL },
  { "lt", run_compare, NULL },
  { "le", run_compare, NULL },
  { "gt", run_compare, NULL },
  { "ge", run_compare, NULL },
  { "isfinite", run_isfinite, NULL },
  { NULL, NULL, NULL },
};

/* ==== in place ====================================================================== */

static df_tensor *into(lua_State *L, df_tape *tape, const char *name) {
  df_tensor *y = dfl_tensor(L, 1), *x = operand(L, tape, 2, 1);
  return df_binary_into(tape, df_binary_find(name), y, x) == DF_OK ? y : NULL;
}

static df_tensor *add_into(lua_State *L, df_tape *tape) { return into(L, tape, "add"); }
static df_tensor *sub_into(lua_State *L, df_tape *tape) { return into(L, tape, "sub"); }
static df_tensor *mul_into(lua_State *L, df_tape *tape) { return into(L, tape, "mul"); }
static df_tensor *div_into(lua_State *L, df_tape *tape) { return into(L, tape, "div"); }

static df_tensor *copy_into(lua_State *L, df_tape *tape) {
  df_tensor *y = dfl_tensor(L, 1);
  return df_copy_into(tape, y, operand(L, tape, 2, 1)) == DF_OK ? y : NULL;
}

static df_tensor *fill_into(lua_State *L, df_tape *tape) {
  df_tensor *y = dfl_tensor(L, 1);
  return df_fill_into(tape, y, luaL_checknumber(L, 2)) == DF_OK ? y : NULL;
}

static df_tensor *zero_into(lua_State *L, df_tape *tape) {
  df_tensor *y = dfl_tensor(L, 1);
  return df_fill_into(tape, y, 0) == DF_OK ? y : NULL;
}

/* Returns the box that was given. */
static int in_place(lua_State *L, dfl_maker *make) {
  dfl_run(L, make);
  lua_settop(L, 1);
  return 1;
}

/*** Tensor:add_ sub_ mul_ div_
** x op= y in place; y stretches to x, whose type stays.
** @param y diffusion.tensor or a number
** @return diffusion.tensor x itself
** @error where x is being recorded, or y is */
static int l_add(lua_State *L) { return in_place(L, add_into); }
static int l_sub(lua_State *L) { return in_place(L, sub_into); }
static int l_mul(lua_State *L) { return in_place(L, mul_into); }
static int l_div(lua_State *L) { return in_place(L, div_into); }
/*** Tensor:copy_
** Writes y, stretched, into x.
** @param y diffusion.tensor, a number or a nested list
** @return diffusion.tensor x itself */
static int l_copy(lua_State *L) { return in_place(L, copy_into); }
/*** Tensor:fill_
** @param value number
** @return diffusion.tensor x itself */
static int l_fill(lua_State *L) { return in_place(L, fill_into); }
/*** Tensor:zero_
** @return diffusion.tensor x itself */
static int l_zero(lua_State *L) { return in_place(L, zero_into); }

/* ==== the same ====================================================================== */

/*** Tensor:equal
** @param y diffusion.tensor
** @return boolean the same shape and the same numbers */
static int l_equal(lua_State *L) {
  lua_pushboolean(L, df_close(dfl_tensor(L, 1), dfl_tensor(L, 2), 0, 0));
  return 1;
}

/*** Tensor:allclose
** @param y diffusion.tensor
** @param opts? {rtol: number, atol: number} 1e-5 and 1e-8 if not given
** @return boolean one shape, and |x - y| <= atol + rtol |y| throughout; NaN is close to
**   nothing */
static int l_allclose(lua_State *L) {
  static const char *const names[] = { "rtol", "atol", NULL };
  const df_tensor *x = dfl_tensor(L, 1), *y = dfl_tensor(L, 2);
  dfl_fields(L, 3, names);
  double rtol = dfl_field_number(L, 3, "rtol", 1e-5);
  lua_pushboolean(L, df_close(x, y, rtol, dfl_field_number(L, 3, "atol", 1e-8)));
  return 1;
}

static const luaL_Reg methods[] = {
  { "add_", l_add },   { "sub_", l_sub },    { "mul_", l_mul },
  { "div_", l_div },   { "copy_", l_copy },  { "fill_", l_fill },
  { "zero_", l_zero }, { "equal", l_equal }, { "allclose", l_allclose },
  { NULL, NULL },
};

/* Operators are methods under another name. */
static const char *const operators[][2] = {
  { "__add", "add" }, { "__sub", "sub" }, { "__mul", "mul" },
  { "__div", "div" }, { "__pow", "pow" }, { "__unm", "neg" },
};

void dfl_open_math(lua_State *L) {
  dfl_ops(L, rows);
  dfl_methods(L, methods);
  luaL_getmetatable(L, DFL_TENSOR);
  lua_getfield(L, -1, "__methods");
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    lua_getfield(L, -1, operators[i][1]);
    lua_setfield(L, -3, operators[i][0]);
  }
  lua_pop(L, 2);
}
