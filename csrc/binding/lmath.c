/* Arithmetic: functions of one and two numbers, comparisons, d.where and in-place writes.
** Operations on integers give integers. */
#include <math.h>

#include "binding/binding.h"

static const char *row_name(lua_State *L) {
  const dfl_op *row = lua_touserdata(L, lua_upvalueindex(1));
  return row->name;
}

static bool is_whole_tensor(lua_State *L, int arg) {
  const df_tensor *x = dfl_test(L, arg);
  return x && !df_dtype_is_float(x->dtype);
}

/* True if the number at `index`, or each number of a table, is an integer. */
static bool all_whole(lua_State *L, int index, int depth) {
  int whole, n = (int)lua_rawlen(L, index), i = 1;
  if (depth > DF_DIMS) return false;
  for (bool fine = true; i <= n && fine; i += fine) {
    if (lua_rawgeti(L, index, i) == LUA_TTABLE)
      fine = all_whole(L, lua_gettop(L), depth + 1);
    else lua_tointegerx(L, -1, &whole), fine = whole && lua_type(L, -1) == LUA_TNUMBER;
    lua_pop(L, 1);
  }
  return i > n;
}

static bool is_whole(lua_State *L, int arg) {
  int whole = 0;
  if (lua_type(L, arg) == LUA_TTABLE) return all_whole(L, arg, 1);
  if (lua_type(L, arg) == LUA_TNUMBER) lua_tointegerx(L, arg, &whole);
  return whole;
}

/* The operand at arg; `next` is the other operand's index. `other` is the type of this
** operand if only the other one is an integer tensor. */
static df_tensor *beside(lua_State *L, df_tape *tape, int arg, int next, df_dtype other) {
  if (lua_type(L, arg) == LUA_TUSERDATA || !is_whole_tensor(L, next))
    return dfl_operand(L, tape, arg);
  return dfl_of(L, tape, arg, is_whole(L, arg) ? DF_I64 : other);
}

static df_tensor *operand(lua_State *L, df_tape *tape, int arg, int next) {
  return beside(L, tape, arg, next, DF_REAL);
}

/* ==== table of ops ================================================================== */

static df_tensor *run_unary(lua_State *L, df_tape *tape) {
  return df_unary_of(tape, df_unary_find(row_name(L)), dfl_tensor(L, 1));
}

static df_tensor *run_gelu(lua_State *L, df_tape *tape) {
  static const char *const by[] = { "erf", "tanh", NULL };
  df_tensor *x = dfl_tensor(L, 1);
  return dfl_option(L, 2, "erf", by) ? df_gelu_tanh(tape, x) : df_gelu(tape, x);
}

/* Exact for integers, as x^2 and x x are. */
static df_tensor *run_square(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return is_whole_tensor(L, 1) ? df_mul(tape, x, x) : run_unary(L, tape);
}

static df_tensor *run_binary(lua_State *L, df_tape *tape) {
  df_tensor *a = operand(L, tape, 1, 2), *b = operand(L, tape, 2, 1);
  return df_binary_of(tape, df_binary_find(row_name(L)), a, b);
}

static df_tensor *run_pow(lua_State *L, df_tape *tape) {
  df_tensor *a = operand(L, tape, 1, 2), *b = operand(L, tape, 2, 1);
  return df_pow(tape, a, b);
}

/* True if the number at arg is an integer that reals may round. */
static bool is_far(lua_State *L, int arg) {
  double far = DF_REAL == DF_F64 ? 9007199254740992 : 16777216;
  return lua_type(L, arg) == LUA_TNUMBER && fabs(lua_tonumber(L, arg)) >= far
         && is_whole(L, arg);
}

/* Operands of comparisons are not rounded. A double stays a double next to integers, and
** an integer stays an integer next to reals. */
static df_tensor *compared(lua_State *L, df_tape *tape, int arg, int next) {
  if (is_far(L, arg)) return dfl_of(L, tape, arg, DF_I64);
  return beside(L, tape, arg, next, DF_F64);
}

static df_tensor *run_compare(lua_State *L, df_tape *tape) {
  df_tensor *a = compared(L, tape, 1, 2), *b = compared(L, tape, 2, 1);
  return df_compare(tape, row_name(L), a, b);
}

static df_tensor *run_clamp(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  double low = luaL_optnumber(L, 2, -INFINITY), high = luaL_optnumber(L, 3, INFINITY);
  return df_clamp(tape, x, low, high);
}

static df_tensor *run_isfinite(lua_State *L, df_tape *tape) {
  return df_isfinite(tape, dfl_tensor(L, 1));
}

static df_tensor *run_where(lua_State *L, df_tape *tape) {
  df_tensor *mask = dfl_tensor(L, 1);
  df_tensor *a = operand(L, tape, 2, 3), *b = operand(L, tape, 3, 2);
  return df_where(tape, mask, a, b);
}

/*** Tensor:neg, abs, sign, square, reciprocal, sqrt
** neg: -x, also written so.
** abs: |x| of each element.
** sign: -1, 0 or 1 for each element.
** square: x^2 of each element. For integers it is i64 and exact, or an error.
** reciprocal: 1/x of each element.
** sqrt: The square root of each element; nan if x < 0.
** @return diffusion.tensor with the shape of x */

/*** Tensor:exp, log, sin, cos, erf, erfc, log_erfc
** exp: e^x of each element.
** log: ln x of each element. ln 0 is -inf; the result is nan for negative numbers.
** sin: The sine of each element, in radians.
** cos: The cosine of each element, in radians.
** erf: The error function of each element: 2/sqrt(pi) times the integral of e^(-u^2)
**   from
**   0 to x.
** erfc: 1 - erf(x) of each element, computed without cancellation.
** log_erfc: ln erfc(x) of each element, accurate even if erfc(x) underflows.
** @return diffusion.tensor with the shape of x */

/*** Tensor:floor, round
** floor: The largest integer not above x, for each element. No gradient.
** round: The nearest integer, for each element; halves go to the even one. No gradient.
** @return diffusion.tensor with the shape of x */

/*** Tensor:silu
** x / (1 + e^-x) of each element (Hendrycks & Gimpel 2016).
** @return diffusion.tensor with the shape of x */

/*** Tensor:gelu
** x Phi(x) of each element; Phi is the normal distribution function (Hendrycks & Gimpel
** 2016).
** "tanh" gives its approximation, as in GPT-2 and T5:
** x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.
** @param by? string "erf" (the default) or "tanh"
** @return diffusion.tensor with the shape of x
** @usage print(d.tensor{-1, 0, 1}:gelu(), d.tensor{-1, 0, 1}:gelu "tanh") */

/*** Tensor:quick_gelu
** x sigmoid(1.702 x) of each element, as in CLIP's text encoder.
** @return diffusion.tensor with the shape of x */

/*** Tensor:mish
** x tanh(ln(1 + e^x)) of each element (Misra 2019).
** @return diffusion.tensor with the shape of x */

/*** Tensor:relu, sigmoid, tanh
** relu: max(x, 0) of each element.
** sigmoid: 1 / (1 + e^-x) of each element.
** tanh: The hyperbolic tangent of each element.
** @return diffusion.tensor with the shape of x */

/*** Tensor:add, sub, mul, div
** add: x + y, also written so.
** sub: x - y, also written so.
** mul: x y element by element, also written x * y.
** div: x / y, also written so; the result is real, also for integers.
** Operands are broadcast; it is an error if their shapes do not match. Integers with
** integers give exact integers under + - *. It is an error if i64 cannot hold a
** result,
** or if a real operand would round an integer (from 2^24 on).
** @param y diffusion.tensor|number|number[]
** @return diffusion.tensor with the broadcast shape
** @usage print(d.tensor{{1, 2}, {3, 4}} + d.tensor{10, 20}) */

/*** Tensor:pow
** x^y, also written so, as C's pow: nan if x < 0 and y is not an integer. Integers to the
** power of integers give integers, unless an exponent is negative. A result that i64
** cannot hold is an error.
** @param y diffusion.tensor|number|number[]
** @return diffusion.tensor with the broadcast shape */

/*** Tensor:maximum, minimum
** maximum: The larger of x and y for each element; nan if either is nan.
** minimum: The smaller of x and y for each element; nan if either is nan.
** Integers with integers give integers.
** @param y diffusion.tensor|number|number[]
** @return diffusion.tensor with the broadcast shape */

/*** Tensor:clamp
** Limits each element to [low, high].
** @param low? number nil: no lower limit
** @param high? number nil: no upper limit
** @return diffusion.tensor with the shape of x */

/*** Tensor:eq, ne, lt, le, gt, ge
** eq: 1 if x = y, else 0. (Lua's == compares objects, not elements.)
** ne: 1 if x ~= y, else 0. (Lua's ~= compares objects, not elements.)
** lt: 1 if x < y, else 0.
** le: 1 if x <= y, else 0.
** gt: 1 if x > y, else 0.
** ge: 1 if x >= y, else 0.
** An integer and a real are compared exactly: neither is rounded to the other's type.
** @param y diffusion.tensor|number|number[]
** @return diffusion.tensor u8, 1 or 0, with the broadcast shape */

/*** Tensor:isfinite
** 1 if x is neither infinite nor nan, else 0.
** @return diffusion.tensor u8, 1 or 0, with the shape of x */

/*** d.where
** Elements of a if the mask is not 0, else of b.
** @param mask diffusion.tensor
** @param a diffusion.tensor|number
** @param b diffusion.tensor|number
** @return diffusion.tensor with the broadcast shape of all three; i64 if a and b are
**   integers and one of them is an integer tensor */
static const dfl_op rows[] = {
  { "neg", run_unary, 1, "x{2,3}" },
  { "abs", run_unary, 1, "away{2,3}" },
  { "sign", run_unary, 1, NULL },
  { "floor", run_unary, 1, NULL },
  { "round", run_unary, 1, NULL },
  { "exp", run_unary, 1, "x{2,3}" },
  { "log", run_unary, 1, "pos{2,3}" },
  { "sqrt", run_unary, 1, "pos{2,3}" },
  { "reciprocal", run_unary, 1, "away{2,3}" },
  { "square", run_square, 1, "x{2,3}; x{3,2}:t()" },
  { "sin", run_unary, 1, "x{2,3}" },
  { "cos", run_unary, 1, "x{2,3}" },
  { "tanh", run_unary, 1, "x{2,3}" },
  { "erf", run_unary, 1, "x{2,3}" },
  { "erfc", run_unary, 1, "x{2,3}" },
  { "log_erfc", run_unary, 1, "x{2,3}" },
  { "silu", run_unary, 1, "x{2,3}" },
  { "relu", run_unary, 1, "away{2,3}" },
  { "gelu", run_gelu, 2, "x{2,3}; x{2,3}, \"tanh\"" },
  { "quick_gelu", run_unary, 1, "x{2,3}" },
  { "mish", run_unary, 1, "x{2,3}" },
  { "sigmoid", run_unary, 1, "x{2,3}" },
  { "add", run_binary, 2 | DFL_MORE,
    "x{2,3}, x{2,3}; x{2,3}, x{3}; x{2,1,3}, x{2,1}; x{2}, 1.5" },
  { "sub", run_binary, 2 | DFL_MORE,
    "x{2,3}, x{2,3}; x{3}, x{2,3}; x{2,3,2,2}, x{2,1,1,2}; 2, x{3}" },
  { "mul", run_binary, 2 | DFL_MORE,
    "x{2,3}, x{2,3}; x{2,3}, x{3}; x{2,1,1,3}, x{2,2,2,3}; x{}, x{2}" },
  { "div", run_binary, 2 | DFL_MORE,
    "x{2,3}, away{2,3}; x{2,3}, away{3}; x{2,1,3}, away{2,2,1}" },
  { "maximum", run_binary, 2 | DFL_MORE, "x{2,3}, x{2,3}; x{2,3}, x{3}" },
  { "minimum", run_binary, 2 | DFL_MORE, "x{2,3}, x{2,3}; x{1,3}, x{2,1}" },
  { "pow", run_pow, 2 | DFL_MORE,
    "pos{2,3}, x{2,3}; pos{2,3}, x{3}; x{3}, 2; x{3}, 3; pos{3}, 0.5; away{3}, -1; "
    "2, x{3}" },
  { "clamp", run_clamp, 3, "x{2,3}, -0.5, 0.5; x{2,3}, nil, 0.1; x{2,3}, 0.1" },
  { "where", run_where, 3 | DFL_MORE,
    "int{0,1,{2,3}}, x{2,3}, x{2,3}; int{0,1,{3}}, x{2,1}, 2; int{0,1,{2,1}}, x{}, "
    "x{3}" },
  { "eq", run_compare, 2 | DFL_MORE, NULL },
  { "ne", run_compare, 2 | DFL_MORE, NULL },
  { "lt", run_compare, 2 | DFL_MORE, NULL },
  { "le", run_compare, 2 | DFL_MORE, NULL },
  { "gt", run_compare, 2 | DFL_MORE, NULL },
  { "ge", run_compare, 2 | DFL_MORE, NULL },
  { "isfinite", run_isfinite, 1, NULL },
  { NULL, NULL, 0, NULL },
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
  return df_copy_into(tape, y, dfl_written(L, tape, 2, y)) == DF_OK ? y : NULL;
}

static df_tensor *fill_into(lua_State *L, df_tape *tape) {
  df_tensor *y = dfl_tensor(L, 1);
  luaL_checktype(L, 2, LUA_TNUMBER);
  return df_copy_into(tape, y, dfl_written(L, tape, 2, y)) == DF_OK ? y : NULL;
}

static df_tensor *zero_into(lua_State *L, df_tape *tape) {
  df_tensor *y = dfl_tensor(L, 1);
  return df_fill_into(tape, y, 0) == DF_OK ? y : NULL;
}

/* Returns the box that was given. */
static int in_place(lua_State *L, int most, dfl_maker *make) {
  dfl_at_most(L, most);
  dfl_run(L, make);
  lua_settop(L, 1);
  return 1;
}

/*** Tensor:add_, sub_, mul_, div_
** add_: Writes x + y to x.
** sub_: Writes x - y to x.
** mul_: Writes x y to x.
** div_: Writes x / y to x.
** Type and shape of x stay, and y is broadcast to x. An i64 takes integers only. If it
** cannot hold a result, an error is raised and x stays as it was. The backward pass
** raises an error if a gradient needs the old values.
** @param y diffusion.tensor|number|number[]
** @return diffusion.tensor x itself */

/*** Tensor:copy_
** Writes the elements of y to x, converted as by Tensor:to. An i64 takes integers only.
** @param y diffusion.tensor|number|number[] any type; it is broadcast to the shape of x
** @return diffusion.tensor x itself */

/*** Tensor:fill_
** Writes one number to every element.
** @param value number an integer if x is i64
** @return diffusion.tensor x itself */

/*** Tensor:zero_
** Writes 0 to every element.
** @return diffusion.tensor x itself */
static int l_add(lua_State *L) { return in_place(L, 2 | DFL_MORE, add_into); }
static int l_sub(lua_State *L) { return in_place(L, 2 | DFL_MORE, sub_into); }
static int l_mul(lua_State *L) { return in_place(L, 2 | DFL_MORE, mul_into); }
static int l_div(lua_State *L) { return in_place(L, 2 | DFL_MORE, div_into); }
static int l_copy(lua_State *L) { return in_place(L, 2 | DFL_MORE, copy_into); }
static int l_fill(lua_State *L) { return in_place(L, 2, fill_into); }
static int l_zero(lua_State *L) { return in_place(L, 1, zero_into); }

/* ==== equality ====================================================================== */

/*** Tensor:equal
** True if y has the same shape and the same elements. nan equals nothing.
** @param y diffusion.tensor
** @return boolean */
static int l_equal(lua_State *L) {
  dfl_at_most(L, 2 | DFL_MORE);
  lua_pushboolean(L, df_close(dfl_tensor(L, 1), dfl_tensor(L, 2), 0, 0));
  return 1;
}

/*** Tensor:allclose
** True if y has the same shape and |x - y| <= atol + rtol |y| for each element.
** @param y diffusion.tensor
** @param opts? diffusion.allclose_options
** @option rtol number (1e-5; >= 0) tolerance relative to |y|
** @option atol number (1e-8; >= 0) absolute tolerance
** @return boolean */
static int l_allclose(lua_State *L) {
  static const char *const names[] = { "rtol", "atol", NULL };
  const df_tensor *x = dfl_tensor(L, 1), *y = dfl_tensor(L, 2);
  dfl_at_most(L, 3);
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

/* Operators are other names of methods. */
static const char *const operators[][2] = {
  { "__add", "add" }, { "__sub", "sub" }, { "__mul", "mul" },
  { "__div", "div" }, { "__pow", "pow" },
};

/* Lua passes the operand of unary minus twice. */
static df_tensor *negated(lua_State *L, df_tape *tape) {
  return df_unary_of(tape, df_unary_find("neg"), dfl_tensor(L, 1));
}
static int l_unm(lua_State *L) { return dfl_run(L, negated); }

void dfl_open_math(lua_State *L) {
  static const luaL_Reg unm = { "unm", l_unm };
  dfl_ops(L, rows);
  dfl_methods(L, methods);
  luaL_getmetatable(L, DFL_TENSOR);
  lua_getfield(L, -1, "__methods");
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    lua_getfield(L, -1, operators[i][1]);
    lua_setfield(L, -3, operators[i][0]);
  }
  lua_pushnil(L); /* upvalue 1 is unused */
  dfl_push_function(L, &unm);
  lua_setfield(L, -3, "__unm");
  lua_pop(L, 2);
}
