/* The box: a userdata around a tensor, its metatable, and what needs no arithmetic. */
#include <string.h>

#include "binding/binding.h"
#include "binding/state.h"
#include "ops/sink.h"

/* ==== boxes ========================================================================= */

/* The box keeps its record alive, so that its loss can still be walked. */
static void hold_record(lua_State *L, const df_tensor *x) {
  if (!x->record || x->leaf) return;
  df_record *r = df_record_of(dfl_tape(L), x);
  if (r && dfl_push_record(L, r)) lua_setiuservalue(L, -2, 1);
}

/* Held first: making the userdata may run a finaliser that lets go of x. */
void dfl_push(lua_State *L, df_tensor *x) {
  dfl_state *s = dfl_context(L);
  dfl_check_open(L, s);
  dfl_hold(L, x);
  dfl_box *b = lua_newuserdatauv(L, sizeof *b, 1);
  *b = (dfl_box){ .tensor = NULL };
  luaL_setmetatable(L, DFL_TENSOR);
  dfl_link_box(s, b);
  b->tensor = df_tensor_retain(x);
  hold_record(L, x);
}

df_tensor *dfl_test(lua_State *L, int arg) {
  dfl_box *b = luaL_testudata(L, arg, DFL_TENSOR);
  return b ? dfl_hold(L, b->tensor) : NULL;
}

df_tensor *dfl_tensor(lua_State *L, int arg) {
  dfl_box *b = luaL_checkudata(L, arg, DFL_TENSOR);
  if (!b->tensor)
    luaL_argerror(L, arg,
                  "attempt to use a freed tensor (free(), or made in a d.scope "
                  "that has ended)");
  return dfl_hold(L, b->tensor);
}

df_tensor *dfl_tensor_or_nil(lua_State *L, int arg) {
  return lua_isnoneornil(L, arg) ? NULL : dfl_tensor(L, arg);
}

df_tensor *dfl_floats(lua_State *L, int arg) {
  df_tensor *x = dfl_tensor(L, arg);
  if (df_dtype_is_float(x->dtype)) return x;
  lua_pushfstring(L,
                  "floats expected, got %s %s; d.image.to_float brings images into "
                  "[-1, 1]",
                  df_dtype_name(x->dtype), df_tensor_text(x));
  luaL_argerror(L, arg, lua_tostring(L, -1));
  return NULL;
}

/*** class diffusion.tensor
** Numbers in a shape of up to 8 dimensions: f32, f64, f16, bf16, i64 or u8. x[i], x[{{1, 3},
** {}, 2}] and #x read; both sides of = write. Positions count from 1, from the end where
** negative; ranges include both ends, {} is all of a dimension, {2} is {2, 2}. x[#x + 1] reads
** as nil, so that ipairs(x) ends; other positions out of range are errors. + - * / ^ work
** element by element and stretch.
** Where x[i] is a plain number, it is an error while x is being recorded, since its gradient
** would be lost: take x:select(dim, i), x[{ {i, i} }], or x:detach()[i] for a constant. What
** item(), totable(), bytes() and print give are constants too.
** @field grad diffusion.tensor|nil of a parameter: its gradient after loss:backward()
** @operator add(diffusion.tensor|number): diffusion.tensor
** @operator sub(diffusion.tensor|number): diffusion.tensor
** @operator mul(diffusion.tensor|number): diffusion.tensor
** @operator div(diffusion.tensor|number): diffusion.tensor
** @operator pow(diffusion.tensor|number): diffusion.tensor
** @operator unm: diffusion.tensor
** @operator len: integer */

/*** Tensor:free
** Lets go of the memory now, not when the collector comes. Using the tensor after that is
** an error; other windows on the same memory stay. */
static int l_free(lua_State *L) {
  dfl_box *b = luaL_checkudata(L, 1, DFL_TENSOR);
  dfl_state *s = dfl_context(L);
  if (s) dfl_unlink_box(s, b);
  df_tensor *x = b->tensor;
  b->tensor = NULL;
  df_tensor_release(x);
  return 0;
}

/* ==== facts ========================================================================= */

/*** Tensor:shape
** The sizes of all dimensions.
** @return integer[] */
static int l_shape(lua_State *L) {
  dfl_at_most(L, 1);
  const df_tensor *x = dfl_tensor(L, 1);
  lua_createtable(L, x->shape.ndim, 0);
  for (int i = 0; i < x->shape.ndim; i++) {
    lua_pushinteger(L, x->shape.size[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/*** Tensor:size
** The size of one dimension.
** @param dim integer from 1, or from -1 backwards
** @return integer */
static int l_size(lua_State *L) {
  dfl_at_most(L, 2);
  const df_tensor *x = dfl_tensor(L, 1);
  lua_pushinteger(L, x->shape.size[dfl_dim(L, 2, x)]);
  return 1;
}

static int l_length(lua_State *L) {
  const df_tensor *x = dfl_tensor(L, 1);
  if (x->shape.ndim == 0) return luaL_error(L, "a tensor of no dimensions has no length");
  lua_pushinteger(L, x->shape.size[0]);
  return 1;
}

/*** Tensor:dim
** How many dimensions there are.
** @return integer */
static int l_ndim(lua_State *L) {
  dfl_at_most(L, 1);
  lua_pushinteger(L, dfl_tensor(L, 1)->shape.ndim);
  return 1;
}

/*** Tensor:numel
** How many elements there are.
** @return integer */
static int l_numel(lua_State *L) {
  dfl_at_most(L, 1);
  lua_pushinteger(L, df_tensor_count(dfl_tensor(L, 1)));
  return 1;
}

/*** Tensor:dtype
** The type of the elements.
** @return string "f32", "f64", "f16", "bf16", "i64" or "u8" */
static int l_dtype(lua_State *L) {
  dfl_at_most(L, 1);
  lua_pushstring(L, df_dtype_name(dfl_tensor(L, 1)->dtype));
  return 1;
}

/*** Tensor:is_contiguous
** Do the elements lie in order, without gaps?
** @return boolean */
static int l_is_contiguous(lua_State *L) {
  dfl_at_most(L, 1);
  lua_pushboolean(L, df_tensor_is_dense(dfl_tensor(L, 1)));
  return 1;
}

/*** Tensor:version
** How often the memory under this tensor has been written to.
** @return integer */
static int l_version(lua_State *L) {
  dfl_at_most(L, 1);
  lua_pushinteger(L, (lua_Integer)df_tensor_version(dfl_tensor(L, 1)));
  return 1;
}

/* What remains of a record when the values are wanted and its gradient isn't. */
static int l_gradient(lua_State *L) {
  const df_tensor *x = dfl_tensor(L, 1);
  if (x->leaf && x->leaf->arrived) dfl_push(L, x->leaf->grad);
  else luaL_pushfail(L);
  return 1;
}

/* ==== the metatable ================================================================= */

static int l_read(lua_State *L) {
  return lua_type(L, 2) == LUA_TSTRING ? l_gradient(L) : dfl_index(L);
}

/* Methods are found without the door: each op asks for one. The table of methods refuses
** unknown names (lua/diffusion/lookup.lua). */
static int l_index(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "grad") == 0)
    return dfl_door(L);
  lua_settop(L, 2);
  lua_gettable(L, lua_upvalueindex(1));
  return 1;
}

/* Called by pairs, so the user's line is two levels up. */
static int l_pairs(lua_State *L) {
  const df_tensor *x = dfl_tensor(L, 1);
  luaL_where(L, 2);
  lua_pushfstring(L,
                  "pairs(x) of a tensor %s: ipairs(x) goes through its first dimension, "
                  "x:totable() makes a table",
                  df_tensor_text(x));
  lua_concat(L, 2);
  return lua_error(L);
}

static const luaL_Reg methods[] = {
  { "shape", l_shape },     { "size", l_size },   { "dim", l_ndim },
  { "numel", l_numel },     { "dtype", l_dtype }, { "is_contiguous", l_is_contiguous },
  { "version", l_version }, { "free", l_free },   { NULL, NULL },
};

static int l_is_tensor(lua_State *L) {
  lua_pushboolean(L, luaL_testudata(L, 1, DFL_TENSOR) != NULL);
  return 1;
}

static const luaL_Reg functions[] = {
  { "is_tensor", l_is_tensor },
  { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__len", l_length },
  { "__newindex", dfl_newindex },
  { "__pairs", l_pairs },
  { NULL, NULL },
};

static const luaL_Reg finalisers[] = {
  { "__gc", l_free },
  { "__close", l_free },
  { NULL, NULL },
};

void dfl_open_tensor(lua_State *L) {
  static const luaL_Reg read = { "__index", l_read };
  dfl_methods(L, methods);
  dfl_functions(L, functions);
  luaL_newmetatable(L, DFL_TENSOR);
  luaL_setfuncs(L, finalisers, 0);
  dfl_set_functions(L, meta);
  lua_getfield(L, LUA_REGISTRYINDEX, "diffusion.core");
  lua_getfield(L, -1, "methods");
  lua_remove(L, -2);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__methods");
  dfl_push_porch(L, l_index, &read);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
