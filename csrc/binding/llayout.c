/* Layout of tensors for Lua: windows, reshaping, concatenation, flipping. */
#include <string.h>

#include "binding/binding.h"

/* ==== reshaping ===================================================================== */

/* Reads a shape for the elements of x. One size may be -1; it is computed from the
** others. */
static void shape_for(lua_State *L, const df_tensor *x, df_shape *shape) {
  bool list = lua_type(L, 2) == LUA_TTABLE;
  int n = list ? dfl_list(L, 2, 2) : lua_gettop(L) - 1, open = -1;
  if (list) dfl_at_most(L, 2);
  df_int rest = 1;
  if (n > DF_DIMS) luaL_error(L, "at most %d dimensions, got %d", DF_DIMS, n);
  shape->ndim = n;
  for (int i = 0; i < n; i++) {
    if (list) lua_rawgeti(L, 2, i + 1);
    else lua_pushvalue(L, i + 2);
    int whole;
    lua_Integer size = lua_tointegerx(L, -1, &whole);
    if (!whole || lua_type(L, -1) != LUA_TNUMBER)
      luaL_error(L, "size %d must be a whole number, got %s", i + 1, dfl_briefly(L, -1));
    lua_pop(L, 1);
    if (size < -1 || (size == -1 && open >= 0))
      luaL_error(L, "size %d is %I; a size is 0 or more, and one of them may be -1",
                 i + 1, size);
    if (size == -1) open = i;
    else if (__builtin_mul_overflow(rest, size, &rest))
      luaL_error(L, "a tensor of so many elements is too large");
    shape->size[i] = size;
  }
  if (open < 0) return;
  if (rest <= 0 || df_tensor_count(x) % rest)
    luaL_error(L, "%s has %I elements, which don't divide by %I for the size -1",
               df_tensor_text(x), (lua_Integer)df_tensor_count(x), (lua_Integer)rest);
  shape->size[open] = df_tensor_count(x) / rest;
}

/*** Tensor:view, reshape
** view: The same elements on the same memory in another shape. Raises an error if the
**   strides do not allow it.
** reshape: The same elements in another shape. They are copied only if necessary.
** @param shape integer|integer[] numbers or one list; one size may be -1 and is computed
**   from the others
** @return diffusion.tensor */
static df_tensor *run_view(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_stored(L, 1);
  df_shape shape;
  shape_for(L, x, &shape);
  return df_view(tape, x, &shape);
}

static df_tensor *run_reshape(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_stored(L, 1);
  df_shape shape;
  shape_for(L, x, &shape);
  return df_reshape(tape, x, &shape);
}

/*** Tensor:flatten
** Joins dimensions into one, like reshape.
** @param from? integer the first of them, 1
** @param to? integer the last of them, -1
** @return diffusion.tensor */
static df_tensor *run_flatten(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_stored(L, 1);
  df_shape shape = { .ndim = 0 };
  int from = 0, to = x->shape.ndim - 1;
  if (!lua_isnoneornil(L, 2)) from = dfl_dim(L, 2, x);
  if (!lua_isnoneornil(L, 3)) to = dfl_dim(L, 3, x);
  for (int i = 0; i < x->shape.ndim; i++)
    if (i <= from || i > to) shape.size[shape.ndim++] = x->shape.size[i];
    else shape.size[shape.ndim - 1] *= x->shape.size[i];
  if (x->shape.ndim == 0) shape = (df_shape){ 1, { 1 } };
  return df_reshape(tape, x, &shape);
}

/*** Tensor:squeeze
** Removes a dimension of size 1, or all of them. A dimension of another size stays.
** @param dim? integer default: all
** @return diffusion.tensor a window */
static df_tensor *run_squeeze(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_stored(L, 1);
  df_shape shape = { .ndim = 0 };
  int only = lua_isnoneornil(L, 2) ? -1 : dfl_dim(L, 2, x);
  for (int i = 0; i < x->shape.ndim; i++)
    if (x->shape.size[i] != 1 || (only >= 0 && only != i))
      shape.size[shape.ndim++] = x->shape.size[i];
  return df_view(tape, x, &shape);
}

/*** Tensor:unsqueeze
** Adds a dimension of size 1.
** @param dim integer its position in the result, from 1, or from -1 for the last
** @return diffusion.tensor a window */
static df_tensor *run_unsqueeze(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_stored(L, 1);
  df_shape shape = { .ndim = x->shape.ndim + 1 };
  luaL_argcheck(L, shape.ndim <= DF_DIMS, 1, "at most 8 dimensions");
  int dim = (int)dfl_position(L, 2, shape.ndim, "a new dimension in a shape");
  for (int i = 0; i < shape.ndim; i++)
    shape.size[i] = i == dim ? 1 : x->shape.size[i < dim ? i : i - 1];
  return df_view(tape, x, &shape);
}

/*** Tensor:over
** Inserts sizes of 1 before the last dimension of x, so that {B,C} broadcasts over
** {B,H,W,C}. A vector {B} gives one value per sample. It is an error if the result does
** not broadcast over y.
** @param y diffusion.tensor
** @return diffusion.tensor a window
** @usage print((d.zeros(2, 4, 4, 3) + d.ones(2, 3):over(d.zeros(2, 4, 4,
**   3))):mean():item()) */
static df_tensor *run_over(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1), *y = dfl_tensor(L, 2);
  int n = x->shape.ndim, full = y->shape.ndim, first = n > 1 ? n - 1 : n;
  df_shape shape = { .ndim = full }, both;
  for (int i = 0; i < full; i++) shape.size[i] = i < first ? x->shape.size[i] : 1;
  if (n > 1 && n <= full) shape.size[full - 1] = x->shape.size[n - 1];
  if (n > full || !df_shape_broadcast(&shape, &y->shape, &both)
      || !df_shape_equal(&both, &y->shape))
    luaL_error(L, "over: %s does not broadcast over %s", df_tensor_text(x),
               df_tensor_text(y));
  return df_view(tape, x, &shape);
}

/*** Tensor:expand
** Repeats sizes of 1, and missing leading dimensions, without a copy.
** @param shape integer|integer[] numbers or one list
** @return diffusion.tensor a window; several elements share one place in memory */
static df_tensor *run_expand(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_stored(L, 1);
  df_shape shape;
  dfl_at_most(L, dfl_shape(L, 2, &shape) - 1);
  return df_expand(tape, x, &shape);
}

/* ==== windows ======================================================================= */

/*** Tensor:permute
** Changes the order of dimensions.
** @param order integer|integer[] each dimension once: numbers or one list
** @return diffusion.tensor a window */
static df_tensor *run_permute(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_stored(L, 1);
  int order[DF_DIMS], n = x->shape.ndim;
  unsigned seen = 0;
  bool list = lua_type(L, 2) == LUA_TTABLE;
  int given = list ? dfl_list(L, 2, 2) : lua_gettop(L) - 1;
  if (list) dfl_at_most(L, 2);
  for (int i = 0; i < n && given == n; i++) {
    if (list) lua_rawgeti(L, 2, i + 1);
    else lua_pushvalue(L, i + 2);
    order[i] = dfl_dim(L, lua_gettop(L), x);
    seen |= 1u << order[i];
    lua_pop(L, 1);
  }
  if (given != n || seen != (1u << n) - 1)
    luaL_error(L, "permute: each of the %d dimensions of %s once", n, df_tensor_text(x));
  return df_permute(tape, x, order);
}

/*** Tensor:t
** Transposes a matrix.
** @return diffusion.tensor {n,m} of x {m,n}, a window */
static df_tensor *run_t(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_stored(L, 1);
  static const int swapped[2] = { 1, 0 };
  if (x->shape.ndim != 2)
    luaL_error(L, "t: %s has %d dimensions, not 2; use permute", df_tensor_text(x),
               x->shape.ndim);
  return df_permute(tape, x, swapped);
}

static const char *dimension(lua_State *L, int dim) {
  return lua_pushfstring(L, "dimension %d", dim + 1);
}

/*** Tensor:narrow
** A range of one dimension.
** @param dim integer
** @param start integer first position, from 1
** @param length integer 0 or more
** @return diffusion.tensor a window */
static df_tensor *run_narrow(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_stored(L, 1);
  int dim = dfl_dim(L, 2, x);
  df_int size = x->shape.size[dim], length = (df_int)luaL_checkinteger(L, 4), start = 0;
  if (length != 0 || lua_tointeger(L, 3) != 1)
    start = dfl_position(L, 3, size, dimension(L, dim));
  if (length < 0 || length > size - start)
    luaL_error(L, "narrow: %I elements from %I on, but dimension %d of %s has %I",
               (lua_Integer)length, (lua_Integer)start + 1, dim + 1, df_tensor_text(x),
               (lua_Integer)size);
  return df_narrow(tape, x, dim, start, length);
}

/*** Tensor:select
** Selects one position of a dimension. The result does not have that dimension.
** @param dim integer
** @param place integer from 1, or from -1 for the last
** @return diffusion.tensor a window */
static df_tensor *run_select(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_stored(L, 1);
  int dim = dfl_dim(L, 2, x);
  df_int at = dfl_position(L, 3, x->shape.size[dim], dimension(L, dim));
  return df_select(tape, x, dim, at);
}

/* ==== copies ======================================================================== */

/*** Tensor:to
** Converts to another type; x itself if it already has it. Conversion to u8 rounds and
** clamps to 0..255. Conversion to i64 drops the fraction.
** @param dtype string "f32", "f64", "f16", "bf16", "i64" or "u8"
** @return diffusion.tensor */
static df_tensor *run_to(lua_State *L, df_tape *tape) {
  luaL_checkstring(L, 2);
  return df_to(tape, dfl_stored(L, 1), dfl_dtype(L, 2, DF_REAL));
}

/*** Tensor:clone
** A copy with its own memory.
** @return diffusion.tensor */
static df_tensor *run_clone(lua_State *L, df_tape *tape) {
  return df_clone(tape, dfl_tensor(L, 1));
}

/*** Tensor:contiguous
** Returns x itself if its elements are in order without gaps, else a dense copy.
** @return diffusion.tensor */
static df_tensor *run_contiguous(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_tensor_is_dense(x) ? x : df_clone(tape, x);
}

/*** Tensor:detach
** The same values on the same memory, as a constant: no gradient passes through it.
** @return diffusion.tensor */
static df_tensor *run_detach(lua_State *L, df_tape *tape) {
  return df_detach(tape, dfl_stored(L, 1));
}

/* ==== concatenation ================================================================= */

/* Reads the list of tensors at 1, as pointers in a userdata left on the stack. */
static df_tensor **list(lua_State *L, int *n) {
  lua_settop(L, 2);
  if (dfl_test(L, 1))
    luaL_argerror(L, 1, "a list of tensors expected, as {x, y}, got a tensor");
  luaL_checktype(L, 1, LUA_TTABLE);
  *n = dfl_list(L, 1, 1);
  if (*n == 0) luaL_argerror(L, 1, "a list of at least one tensor expected");
  df_tensor **x = lua_newuserdatauv(L, (size_t)*n * sizeof *x, 0);
  for (int i = 0; i < *n; i++) {
    lua_rawgeti(L, 1, i + 1);
    if (!dfl_test(L, -1))
      luaL_argerror(L, 1,
                    lua_pushfstring(L, "element %d is a %s, not a tensor", i + 1,
                                    luaL_typename(L, -1)));
    x[i] = dfl_test(L, -1);
    lua_pop(L, 1);
  }
  return x;
}

/*** d.cat
** Concatenates tensors along a dimension.
** @param list diffusion.tensor[] tensors of one type; all other sizes must be equal
** @param dim? integer default 1
** @return diffusion.tensor */
static df_tensor *run_cat(lua_State *L, df_tape *tape) {
  int n;
  df_tensor **x = list(L, &n);
  if (x[0]->shape.ndim == 0) luaL_error(L, "cat: tensors of no dimensions; use stack");
  return df_cat(tape, x, n, lua_isnoneornil(L, 2) ? 0 : dfl_dim(L, 2, x[0]));
}

/*** d.stack
** Stacks tensors of one shape along a new dimension.
** @param list diffusion.tensor[]
** @param dim? integer its position in the result, default 1
** @return diffusion.tensor */
static df_tensor *run_stack(lua_State *L, df_tape *tape) {
  int n, dim = 0;
  df_tensor **x = list(L, &n);
  if (!lua_isnoneornil(L, 2))
    dim = (int)dfl_position(L, 2, x[0]->shape.ndim + 1, "a new dimension in a shape");
  return df_stack(tape, x, n, dim);
}

/* ==== flipping and repeating ======================================================== */

/*** Tensor:flip
** Reverses the order of elements along dimensions.
** @param dim integer|integer[]
** @return diffusion.tensor */
static df_tensor *run_flip(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  unsigned dims = dfl_dims(L, 2, x);
  luaL_argcheck(L, dims != 0, 2, "a dimension, or a list of them, expected");
  for (int i = 0; i < DF_DIMS; i++)
    if (dims >> i & 1) x = df_flip(tape, x, i);
  return x;
}

/*** Tensor:roll
** Shifts the elements along a dimension. Elements that leave at one end enter at the
** other.
** @param shift integer positions towards the end; negative: towards the start
** @param dim integer
** @return diffusion.tensor */
static df_tensor *run_roll(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_roll(tape, x, (df_int)luaL_checkinteger(L, 2), dfl_dim(L, 3, x));
}

/*** Tensor:repeat_each
** Repeats each entry of a dimension `times` times.
** @param times integer 0 or more
** @param dim? integer default 1
** @return diffusion.tensor
** @usage print(d.arange(1, 3):repeat_each(2)) */
static df_tensor *run_repeat_each(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  df_int times = (df_int)luaL_checkinteger(L, 2);
  luaL_argcheck(L, times >= 0, 2, "0 times or more");
  luaL_argcheck(L, x->shape.ndim > 0, 1,
                "a tensor of no dimensions has nothing to repeat");
  return df_repeat_each(tape, x, times, lua_isnoneornil(L, 3) ? 0 : dfl_dim(L, 3, x));
}

static df_int margin_at(lua_State *L, int index) {
  int whole = 0;
  df_int n = 0;
  if (lua_isnil(L, index)) return 0;
  if (lua_type(L, index) == LUA_TNUMBER) n = (df_int)lua_tointegerx(L, index, &whole);
  if (!whole)
    luaL_argerror(
        L, 2,
        lua_pushfstring(L, "a margin is a whole number, got %s", dfl_briefly(L, index)));
  return n;
}

/* Reads the margins of one dimension from the top of the stack: n, {before, after} or
** {}. */
static void margin(lua_State *L, df_int *before, df_int *after) {
  if (lua_type(L, -1) == LUA_TTABLE) {
    int n = dfl_list(L, -1, 2);
    if (n != 0 && n != 2)
      luaL_argerror(L, 2,
                    lua_pushfstring(L,
                                    "a margin is n, {before, after} or {}, not %d "
                                    "numbers",
                                    n));
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    *before = margin_at(L, -2), *after = margin_at(L, -1);
    lua_pop(L, 2);
  } else {
    *before = *after = margin_at(L, -1);
  }
  if (*before < 0 || *after < 0) luaL_error(L, "pad: a margin can't be negative");
}

/*** Tensor:pad
** Adds a margin around x.
** @param margins table for each dimension in order: n, {before, after} or {}; later
**   dimensions may be left out
** @param value? number fills the margin, default 0; an integer if x is i64
** @return diffusion.tensor */
static df_tensor *run_pad(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  df_int before[DF_DIMS] = { 0 }, after[DF_DIMS] = { 0 };
  luaL_checktype(L, 2, LUA_TTABLE);
  int n = dfl_list(L, 2, 2);
  if (n > x->shape.ndim) luaL_error(L, "pad: %d margins for %s", n, df_tensor_text(x));
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1);
    margin(L, &before[i], &after[i]);
    lua_pop(L, 1);
  }
  df_tensor *value = NULL;
  if (!lua_isnoneornil(L, 3)) {
    luaL_checktype(L, 3, LUA_TNUMBER);
    value = dfl_of(L, tape, 3, x->dtype);
  }
  return df_pad(tape, x, before, after, value);
}

static const dfl_op rows[] = {
  { "view", run_view, DFL_ANY, "x{2,6}, 3, 4; x{2,6}, {3,-1}" },
  { "reshape", run_reshape, DFL_ANY, "x{2,6}, {3,4}; x{3,2}:t(), 6" },
  { "flatten", run_flatten, 3, "x{2,3}; x{2,3,2}, 2; x{}" },
  { "squeeze", run_squeeze, 2, "x{1,3,1}; x{1,3,1}, 1" },
  { "unsqueeze", run_unsqueeze, 2, "x{2,3}, 1; x{2,3}, -1" },
  { "over", run_over, 2 | DFL_MORE, "x{2,3}, x{2,2,2,3}; x{2}, x{2,3}" },
  { "expand", run_expand, DFL_ANY, "x{3}, 2, 3; x{2,1,3}, {2,2,3}; x{}, 2" },
  { "permute", run_permute, DFL_ANY, "x{2,3,4}, 3, 1, 2; x{2,3}, {2,1}" },
  { "t", run_t, 1, "x{2,3}" },
  { "narrow", run_narrow, 4, "x{4,3}, 1, 2, 2; x{2,3}, -1, -2, 2" },
  { "select", run_select, 3, "x{2,3}, 1, 2; x{2,3,4}, 2, -1" },
  { "to", run_to, 2, NULL },
  { "clone", run_clone, 1, "x{2,3}" },
  { "contiguous", run_contiguous, 1, "x{2,3}; x{2,3}:t()" },
  { "detach", run_detach, 1, NULL },
  { "flip", run_flip, 2, "x{2,3}, 2; x{2,3,4}, {1,3}" },
  { "roll", run_roll, 3, "x{2,3}, 1, 2; x{4}, -6, 1" },
  { "repeat_each", run_repeat_each, 3, "x{3}, 2; x{2,3}, 3, -1" },
  { "pad", run_pad, 3, "x{2,3}, {1, {0,2}}; x{2,3,2}, {{}, 1}, 7" },
  { NULL, NULL, 0, NULL },
};

static const dfl_op of_lists[] = {
  { "cat", run_cat, 2,
    "{x{2,3}, x{1,3}}; {x{2,3}, x{2,1}, x{2,2}}, 2; {x{2,2,3}, x{2,2,1}}, -1" },
  { "stack", run_stack, 2, "{x{2,3}, x{2,3}}; {x{2}, x{2}}, -1; {x{}, x{}}" },
  { NULL, NULL, 0, NULL },
};

void dfl_open_layout(lua_State *L) {
  dfl_ops(L, rows);
  dfl_plain_ops(L, of_lists);
}
