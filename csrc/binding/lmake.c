/* Conversion between tensors and Lua values: constructors, item, totable, bytes. */
#include <math.h>
#include <string.h>

#include "binding/binding.h"
#include "ops/whole.h"

/* ==== elements ====================================================================== */

static void push_element(lua_State *L, df_dtype dtype, const void *at) {
  double x;
  int64_t i;
  if (dtype == DF_I64 || dtype == DF_U8) {
    if (dtype == DF_I64) memcpy(&i, at, sizeof i);
    else i = *(const uint8_t *)at;
    lua_pushinteger(L, (lua_Integer)i);
  } else {
    df_dtype_convert(DF_F64, &x, dtype, at, 1);
    lua_pushnumber(L, x);
  }
}

void dfl_push_element(lua_State *L, const df_tensor *x, df_int offset) {
  const char *at = df_tensor_data(x);
  push_element(L, x->dtype, at + offset * df_dtype_size(x->dtype));
}

/* Stores the number on top of the stack in an element. */
static bool pull_element(lua_State *L, df_dtype dtype, void *at) {
  int whole;
  if (lua_type(L, -1) == LUA_TBOOLEAN) {
    lua_pushinteger(L, lua_toboolean(L, -1));
    lua_replace(L, -2);
  }
  if (lua_type(L, -1) != LUA_TNUMBER) return false;
  lua_Integer i = lua_tointegerx(L, -1, &whole);
  if (dtype == DF_I64 && !whole)
    luaL_error(L, "%s isn't one of the whole numbers that i64 holds", dfl_briefly(L, -1));
  if (dtype == DF_I64) {
    int64_t v = (int64_t)i;
    memcpy(at, &v, sizeof v);
  } else {
    double x = lua_tonumber(L, -1);
    df_dtype_convert(dtype, at, DF_F64, &x, 1);
  }
  return true;
}

/* ==== from tables =================================================================== */

/* The shape of a nested table at the top of the stack, according to its first
** elements. */
static void table_shape(lua_State *L, df_shape *shape) {
  int top = lua_gettop(L);
  *shape = (df_shape){ .ndim = 0 };
  luaL_checkstack(L, DF_DIMS + 4, "a table nested too deep");
  while (lua_type(L, -1) == LUA_TTABLE) {
    if (shape->ndim == DF_DIMS) luaL_error(L, "tensor: a table nested deeper than 8");
    shape->size[shape->ndim++] = (df_int)lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
  }
  lua_settop(L, top);
}

static const char *path(lua_State *L, const df_int *at, int depth) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; i < depth; i++) {
    lua_pushfstring(L, "[%I]", (lua_Integer)at[i] + 1);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

static char *fill_list(lua_State *L, df_tensor *x, int depth, df_int *at, char *to);

/* Fills x from the table on top; `at` is the current position, for messages. */
static char *fill(lua_State *L, df_tensor *x, int depth, df_int *at, char *to) {
  int width = df_dtype_size(x->dtype);
  if (depth == x->shape.ndim) {
    if (!pull_element(L, x->dtype, to))
      luaL_error(L, "tensor: element %s is a %s, not a number", path(L, at, depth),
                 luaL_typename(L, -1));
    return to + width;
  }
  df_int n = lua_type(L, -1) == LUA_TTABLE ? (df_int)lua_rawlen(L, -1) : -1;
  if (n != x->shape.size[depth])
    luaL_error(L, "tensor: ragged table: %s has %I elements, expected %I",
               depth ? path(L, at, depth) : "it", (lua_Integer)n,
               (lua_Integer)x->shape.size[depth]);
  return fill_list(L, x, depth, at, to);
}

/* Fills by index, if the table does not yield its elements in order. */
static char *fill_by_place(lua_State *L, df_tensor *x, int depth, df_int *at, char *to) {
  const char *stray = dfl_stray(L, -1);
  if (stray)
    luaL_error(L,
               "tensor: a list of numbers takes no field '%s'; give options "
               "in a table of their own, after the list",
               stray);
  for (df_int i = 0; i < x->shape.size[depth]; i++) {
    at[depth] = i;
    lua_rawgeti(L, -1, i + 1);
    to = fill(L, x, depth + 1, at, to);
    lua_pop(L, 1);
  }
  return to;
}

/* Fills in the table's own order, which is almost always by index. This also finds stray
** fields. */
static char *fill_list(lua_State *L, df_tensor *x, int depth, df_int *at, char *to) {
  char *start = to;
  df_int i = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1), i++) {
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) != i + 1) {
      lua_pop(L, 2);
      return fill_by_place(L, x, depth, at, start);
    }
    at[depth] = i;
    to = fill(L, x, depth + 1, at, to);
  }
  return to;
}

static df_tensor *from_table(lua_State *L, df_tape *tape, int arg, df_dtype dtype) {
  df_shape shape;
  df_int at[DF_DIMS];
  lua_pushvalue(L, arg);
  table_shape(L, &shape);
  df_tensor *x = df_scope_own(tape, df_tensor_new(dtype, &shape));
  if (x) fill(L, x, 0, at, df_tensor_data(x));
  lua_pop(L, 1);
  return x;
}

static df_tensor *from_number(lua_State *L, df_tape *tape, int arg, df_dtype dtype) {
  df_shape none = { .ndim = 0 };
  df_tensor *x = df_scope_own(tape, df_tensor_new(dtype, &none));
  if (!x) return NULL;
  lua_pushvalue(L, arg);
  pull_element(L, dtype, df_tensor_data(x));
  lua_pop(L, 1);
  return x;
}

/* Converts a tensor, number or table to a dense tensor of a type. Returns the tensor
** itself if it has that type. */
static df_tensor *operand(lua_State *L, df_tape *tape, int arg, df_dtype dtype,
                          bool any) {
  if (lua_type(L, arg) == LUA_TNUMBER) return from_number(L, tape, arg, dtype);
  if (lua_type(L, arg) == LUA_TTABLE) return from_table(L, tape, arg, dtype);
  df_tensor *given = dfl_tensor(L, arg);
  if (any || (given->dtype == dtype && df_tensor_is_dense(given))) return given;
  df_tensor *x = df_scope_own(tape, df_tensor_new(dtype, &given->shape));
  if (x) df_tensor_copy(x, given);
  return x;
}

/* As operand. If memory is short, collects garbage and retries once. */
static df_tensor *surely(lua_State *L, df_tape *tape, int arg, df_dtype dtype, bool any) {
  df_tensor *x = operand(L, tape, arg, dtype, any);
  if (!x && dfl_collect_now(L)) x = operand(L, tape, arg, dtype, any);
  if (!x) dfl_raise(L);
  return x;
}

df_tensor *dfl_operand(lua_State *L, df_tape *tape, int arg) {
  return surely(L, tape, arg, DF_REAL, true);
}

df_tensor *dfl_double(lua_State *L, df_tape *tape, int arg) {
  return surely(L, tape, arg, DF_F64, true);
}

df_tensor *dfl_of(lua_State *L, df_tape *tape, int arg, df_dtype dtype) {
  return surely(L, tape, arg, dtype, false);
}

df_tensor *dfl_written(lua_State *L, df_tape *tape, int arg, const df_tensor *y) {
  return surely(L, tape, arg, y->dtype, true);
}

/* Raises: the value on top is not an integer. Place 0 means that it is not in a list. */
static void refuse(lua_State *L, const char *what, lua_Integer place) {
  if (place > 0) what = lua_pushfstring(L, "%s %I", what, place), lua_insert(L, -2);
  if (lua_type(L, -1) != LUA_TNUMBER) lua_pushfstring(L, "a %s", luaL_typename(L, -1));
  luaL_error(L, "%s is %s, not a whole number of 64 bits", what, dfl_briefly(L, -1));
}

static bool is_whole(lua_State *L) {
  int whole = 0;
  if (lua_type(L, -1) == LUA_TNUMBER) lua_tointegerx(L, -1, &whole);
  return whole;
}

/* Raises unless the table on top, which may be nested, contains only integers; *n counts
** them. */
static void check_list(lua_State *L, const char *what, lua_Integer *n) {
  luaL_checkstack(L, DF_DIMS, "a table nested too deep");
  for (lua_Unsigned i = 1, size = lua_rawlen(L, -1); i <= size; i++) {
    bool list = lua_rawgeti(L, -1, (lua_Integer)i) == LUA_TTABLE;
    if (list) check_list(L, what, n);
    else if (++*n, !is_whole(L)) refuse(L, what, *n);
    lua_pop(L, 1);
  }
}

df_tensor *dfl_whole(lua_State *L, df_tape *tape, int arg, const char *what) {
  lua_Integer n = 0;
  if (dfl_test(L, arg)) return df_indices(tape, what, dfl_tensor(L, arg));
  lua_pushvalue(L, arg);
  if (lua_type(L, arg) == LUA_TTABLE) check_list(L, what, &n);
  else if (!is_whole(L)) refuse(L, what, 0);
  lua_pop(L, 1);
  return surely(L, tape, arg, DF_I64, false);
}

const double *dfl_doubles(lua_State *L, int arg, df_int *n) {
  df_shape shape = { .ndim = 0 };
  df_tensor *x = dfl_test(L, arg), *dense = x;
  if (x && df_followed(dfl_tape(L), x))
    luaL_argerror(L, arg,
                  lua_pushfstring(L,
                                  "no gradient flows through these numbers, but the "
                                  "tensor %s is being recorded; detach() it",
                                  df_tensor_text(x)));
  if (x && df_whole_fits(x, DF_F64) != DF_OK) dfl_raise(L);
  if (x) shape = x->shape;
  else if (lua_type(L, arg) == LUA_TTABLE)
    shape = (df_shape){ 1, { dfl_list(L, arg, arg) } };
  *n = df_shape_count(&shape);
  double *out = lua_newuserdatauv(L, (size_t)*n * sizeof *out + 1, 0);
  if (x) {
    dense = surely(L, dfl_tape(L), arg, DF_F64, false);
    memcpy(out, df_tensor_data(dense), (size_t)*n * sizeof *out);
  } else if (lua_type(L, arg) == LUA_TTABLE) {
    for (df_int i = 0; i < *n; i++) {
      lua_rawgeti(L, arg, i + 1);
      if (lua_type(L, -1) != LUA_TNUMBER)
        luaL_argerror(L, arg, "a list of numbers expected");
      out[i] = lua_tonumber(L, -1);
      lua_pop(L, 1);
    }
  } else {
    luaL_checktype(L, arg, LUA_TNUMBER); /* strings are not accepted, even numeric ones */
    out[0] = lua_tonumber(L, arg);
  }
  return out;
}

/* ==== constructors ================================================================== */

/* Reads {dtype = ...} at arg. */
static df_dtype dtype_option(lua_State *L, int arg, df_dtype otherwise) {
  static const char *const names[] = { "dtype", NULL };
  dfl_fields(L, arg, names);
  if (lua_isnoneornil(L, arg)) return otherwise;
  lua_getfield(L, arg, "dtype");
  df_dtype dtype = dfl_dtype(L, lua_gettop(L), otherwise);
  lua_pop(L, 1);
  return dtype;
}

static df_tensor *make_tensor(lua_State *L, df_tape *tape) {
  dfl_at_most(L, 2);
  df_dtype dtype = dtype_option(L, 2, DF_REAL);
  if (lua_type(L, 1) == LUA_TNUMBER) return from_number(L, tape, 1, dtype);
  luaL_checktype(L, 1, LUA_TTABLE);
  return from_table(L, tape, 1, dtype);
}

/* whole(what, value): indices or classes as i64 */
static df_tensor *make_whole(lua_State *L, df_tape *tape) {
  return dfl_whole(L, tape, 2, luaL_checkstring(L, 1));
}

/* A tensor filled with the number at `value`. */
static df_tensor *filled(lua_State *L, df_tape *tape, const df_shape *shape, int options,
                         int value) {
  df_dtype dtype = dtype_option(L, options, DF_REAL);
  df_tensor *x = df_scope_own(tape, df_tensor_new(dtype, shape));
  if (!x) return NULL;
  char *at = df_tensor_data(x);
  df_int n = df_tensor_count(x), width = df_dtype_size(dtype), done = 1;
  if (n == 0) return x;
  lua_pushvalue(L, value);
  pull_element(L, dtype, at);
  lua_pop(L, 1);
  for (; done < n; done *= 2) /* copies the filled part */
    memcpy(at + done * width, at, (size_t)(df_min(done, n - done) * width));
  return x;
}

static df_tensor *make_zeros(lua_State *L, df_tape *tape) {
  df_shape shape;
  int options = dfl_shape(L, 1, &shape);
  dfl_at_most(L, options);
  lua_settop(L, options);
  lua_pushinteger(L, 0);
  return filled(L, tape, &shape, options, options + 1);
}

static df_tensor *make_ones(lua_State *L, df_tape *tape) {
  df_shape shape;
  int options = dfl_shape(L, 1, &shape);
  dfl_at_most(L, options);
  lua_settop(L, options);
  lua_pushinteger(L, 1);
  return filled(L, tape, &shape, options, options + 1);
}

/* full(shape, v): a single number is a shape of one dimension */
static df_tensor *make_full(lua_State *L, df_tape *tape) {
  df_shape shape;
  dfl_at_most(L, 3);
  if (lua_type(L, 1) == LUA_TTABLE) dfl_shape(L, 1, &shape);
  else shape = (df_shape){ 1, { (df_int)luaL_checkinteger(L, 1) } };
  luaL_argcheck(L, df_shape_count(&shape) >= 0, 1, "a shape can't be negative");
  luaL_checktype(L, 2, LUA_TNUMBER);
  return filled(L, tape, &shape, 3, 2);
}

#define RANGE_MAX 1000000000000000 /* elements */

/* Computed in unsigned integers, since the span and the step may exceed int64. */
static df_tensor *whole_range(lua_State *L, df_tape *tape) {
  lua_Integer first = lua_tointeger(L, 1), last = lua_tointeger(L, 2);
  lua_Integer step = luaL_optinteger(L, 3, 1);
  luaL_argcheck(L, step != 0, 3, "a step other than 0 expected");
  uint64_t from = (uint64_t)first, to = (uint64_t)last, by = (uint64_t)step;
  bool down = step < 0, none = down ? last > first : last < first;
  uint64_t span = down ? from - to : to - from, steps = span / (down ? 0 - by : by);
  luaL_argcheck(L, none || steps < RANGE_MAX, 2, "too many elements");
  df_shape shape = { 1, { none ? 0 : (df_int)steps + 1 } };
  df_tensor *x = df_scope_own(tape, df_tensor_new(DF_I64, &shape));
  for (df_int i = 0; x && i < shape.size[0]; i++)
    ((int64_t *)df_tensor_data(x))[i] = (int64_t)(from + (uint64_t)i * by);
  return x;
}

static df_tensor *make_arange(lua_State *L, df_tape *tape) {
  dfl_at_most(L, 3);
  bool whole = lua_isinteger(L, 1) && lua_isinteger(L, 2);
  if (whole && (lua_isnoneornil(L, 3) || lua_isinteger(L, 3)))
    return whole_range(L, tape);
  double first = luaL_checknumber(L, 1), last = luaL_checknumber(L, 2);
  double step = luaL_optnumber(L, 3, 1);
  luaL_argcheck(L, step != 0 && isfinite(step), 3, "a step other than 0 expected");
  double count = floor((last - first) / step * (1 + 1e-12) + 1e-9) + 1;
  luaL_argcheck(L, count < RANGE_MAX, 2, "too many elements");
  df_tensor *x = df_result(tape, &(df_shape){ 1, { count > 0 ? (df_int)count : 0 } });
  for (df_int i = 0; x && i < x->shape.size[0]; i++)
    df_tensor_reals(x)[i] = (df_real)(first + (double)i * step);
  return x;
}

static df_tensor *make_linspace(lua_State *L, df_tape *tape) {
  dfl_at_most(L, 3);
  double first = luaL_checknumber(L, 1), last = luaL_checknumber(L, 2);
  df_int n = (df_int)luaL_checkinteger(L, 3);
  luaL_argcheck(L, n >= 1, 3, "at least one element");
  df_tensor *x = df_result(tape, &(df_shape){ 1, { n } });
  for (df_int i = 0; x && i < n; i++)
    df_tensor_reals(x)[i] =
        (df_real)(n == 1 ? first : first + (last - first) * (double)i / (double)(n - 1));
  return x;
}

static df_tensor *make_eye(lua_State *L, df_tape *tape) {
  dfl_at_most(L, 2);
  df_int n = (df_int)luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0, 1, "a size can't be negative");
  lua_settop(L, 2);
  lua_pushinteger(L, 0);
  df_tensor *x = filled(L, tape, &(df_shape){ 2, { n, n } }, 2, 3);
  double one = 1;
  for (df_int i = 0; x && i < n; i++)
    df_dtype_convert(x->dtype,
                     (char *)df_tensor_data(x) + i * (n + 1) * df_dtype_size(x->dtype),
                     DF_F64, &one, 1);
  return x;
}

static df_tensor *make_frombytes(lua_State *L, df_tape *tape) {
  size_t bytes;
  df_shape shape;
  dfl_at_most(L, 3);
  const char *text = luaL_checklstring(L, 1, &bytes);
  luaL_checktype(L, 2, LUA_TTABLE);
  dfl_shape(L, 2, &shape);
  df_dtype dtype = dfl_dtype(L, 3, DF_REAL);
  size_t wanted = (size_t)df_shape_count(&shape) * (size_t)df_dtype_size(dtype);
  if (bytes != wanted)
    luaL_error(L, "frombytes: %s of %s takes %I bytes, got %I", df_shape_text(&shape),
               df_dtype_name(dtype), (lua_Integer)wanted, (lua_Integer)bytes);
  df_tensor *x = df_scope_own(tape, df_tensor_new(dtype, &shape));
  if (x && bytes) memcpy(df_tensor_data(x), text, bytes);
  return x;
}

/*** d.tensor
** Creates a tensor from a number or a nested table. If a row is ragged or contains
** something else than numbers, the error names the row. i64 accepts only integers. Other
** types round as Tensor:to does.
** @param values number|table
** @param opts? diffusion.dtype_options
** @option dtype "f32"|"f64"|"f16"|"bf16"|"i64"|"u8" ("f32", in the verification build
**   "f64") type of the numbers
** @return diffusion.tensor
** @usage print(d.tensor{{1, 2, 3}, {4, 5, 6}}:mean(1)) */
static int l_tensor(lua_State *L) { return dfl_run(L, make_tensor); }
static int l_whole(lua_State *L) { return dfl_run(L, make_whole); }
/*** d.zeros, ones
** zeros: A tensor filled with zeros.
** ones: A tensor filled with ones.
** @param shape integer|integer[] sizes, or one list of them
** @param opts? diffusion.dtype_options
** @options_of d.tensor
** @return diffusion.tensor */
static int l_zeros(lua_State *L) { return dfl_run(L, make_zeros); }
static int l_ones(lua_State *L) { return dfl_run(L, make_ones); }
/*** d.full
** A tensor filled with one number.
** @param shape integer|integer[] a single number is a shape of one dimension
** @param value number an integer for i64
** @param opts? diffusion.dtype_options
** @options_of d.tensor
** @return diffusion.tensor */
static int l_full(lua_State *L) { return dfl_run(L, make_full); }
/*** d.arange
** The numbers first, first + step, ... up to last, both ends included.
** @param first number
** @param last number
** @param step? number default 1; not 0
** @return diffusion.tensor {n}, i64 if all three are Lua integers (1, not 1.0) */
static int l_arange(lua_State *L) { return dfl_run(L, make_arange); }
/*** d.linspace
** n equally spaced numbers, both ends included.
** @param first number
** @param last number
** @param n integer 1 or more
** @return diffusion.tensor {n} */
static int l_linspace(lua_State *L) { return dfl_run(L, make_linspace); }
/*** d.eye
** The identity matrix.
** @param n integer
** @param opts? diffusion.dtype_options
** @options_of d.tensor
** @return diffusion.tensor {n,n} */
static int l_eye(lua_State *L) { return dfl_run(L, make_eye); }
/*** d.frombytes
** Creates a tensor from the bytes of a string, in the byte order of this machine. It is
** an error if their number does not match the shape.
** @param bytes string
** @param shape integer[]
** @param dtype? string as d.tensor
** @return diffusion.tensor */
static int l_frombytes(lua_State *L) { return dfl_run(L, make_frombytes); }

/* ==== back to Lua =================================================================== */

/*** Tensor:item
** Returns the value of a tensor with one element; other tensors raise an error. The
** number is a constant: no gradient passes through it, also inside d.record and d.grad.
** @return number */
static int l_item(lua_State *L) {
  dfl_at_most(L, 1);
  const df_tensor *x = dfl_tensor(L, 1);
  if (df_tensor_count(x) != 1)
    return luaL_error(L, "item: %s has %I elements, not one", df_tensor_text(x),
                      (lua_Integer)df_tensor_count(x));
  push_element(L, x->dtype, df_tensor_data(x));
  return 1;
}

static const char *push_table(lua_State *L, const df_tensor *x, int dim, const char *at) {
  if (dim == x->shape.ndim) {
    push_element(L, x->dtype, at);
    return at;
  }
  lua_createtable(L, (int)x->shape.size[dim], 0);
  for (df_int i = 0; i < x->shape.size[dim]; i++) {
    push_table(L, x, dim + 1, at + i * x->stride[dim] * df_dtype_size(x->dtype));
    lua_rawseti(L, -2, i + 1);
  }
  return at;
}

/*** Tensor:totable
** The elements as nested tables. They are constants: no gradient passes through them.
** @return table|number a number if x has no dimensions */
static int l_totable(lua_State *L) {
  dfl_at_most(L, 1);
  const df_tensor *x = dfl_tensor(L, 1);
  luaL_checkstack(L, DF_DIMS + 2, NULL);
  push_table(L, x, 0, df_tensor_data(x));
  return 1;
}

/*** Tensor:bytes
** The bytes of the elements in order, for d.frombytes. They are constants: no gradient
** passes through them.
** @return string */
static int l_bytes(lua_State *L) {
  dfl_at_most(L, 1);
  df_tensor *x = dfl_tensor(L, 1);
  size_t bytes = (size_t)df_tensor_count(x) * (size_t)df_dtype_size(x->dtype);
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, bytes);
  if (df_tensor_is_dense(x)) {
    if (bytes) memcpy(to, df_tensor_data(x), bytes);
  } else {
    df_tensor *dense = df_scope_own(dfl_tape(L), df_tensor_new(x->dtype, &x->shape));
    if (!dense) return dfl_raise(L);
    df_tensor_copy(dense, x);
    memcpy(to, df_tensor_data(dense), bytes);
  }
  luaL_pushresultsize(&b, bytes);
  return 1;
}

static const luaL_Reg methods[] = {
  { "item", l_item },
  { "totable", l_totable },
  { "bytes", l_bytes },
  { NULL, NULL },
};

static const luaL_Reg functions[] = {
  { "tensor", l_tensor }, { "zeros", l_zeros },         { "ones", l_ones },
  { "full", l_full },     { "arange", l_arange },       { "linspace", l_linspace },
  { "eye", l_eye },       { "frombytes", l_frombytes }, { "whole", l_whole },
  { NULL, NULL },
};

void dfl_open_make(lua_State *L) {
  dfl_methods(L, methods);
  dfl_functions(L, functions);
}
