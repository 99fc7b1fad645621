/* The metatable of tensors, and methods that need no arithmetic. */
#include <string.h>

#include "binding/binding.h"
#include "binding/state.h"
#include "ops/sink.h"

/*** class diffusion.tensor
** An array with up to 8 dimensions. Elements have type f32, f64, f16, bf16, i64 or u8.
** x[i], x[{{1, 3}, {}, 2}] and #x read elements; x[i] = y writes them. Positions count
** from 1; negative ones count from the end. Ranges include both ends, {} is a whole
** dimension, and {2} means {2, 2}. x[#x + 1] is nil, so ipairs(x) ends; other positions
** out of range are errors. + - * / ^ work element by element and broadcast.
** If x[i] is a plain number, reading it while x is being recorded is an error, since its
** gradient would be lost. Use x:select(dim, i), x[{ {i, i} }], or x:detach()[i] for a
** constant. The results of item(), totable(), bytes() and print are constants too.
** @field grad diffusion.tensor|nil the gradient of a parameter after loss:backward()
** @operator add(diffusion.tensor|number): diffusion.tensor
** @operator sub(diffusion.tensor|number): diffusion.tensor
** @operator mul(diffusion.tensor|number): diffusion.tensor
** @operator div(diffusion.tensor|number): diffusion.tensor
** @operator pow(diffusion.tensor|number): diffusion.tensor
** @operator unm: diffusion.tensor
** @operator len: integer */

/*** Tensor:free
** Frees the memory now, not at the next garbage collection. Using the tensor afterwards
** is an error. Other windows on the same memory stay valid. */
static int l_free(lua_State *L) {
  dfl_box *b = luaL_checkudata(L, 1, DFL_TENSOR);
  dfl_state *s = dfl_context(L);
  if (s) dfl_unlink_box(s, b);
  df_tensor *x = b->tensor;
  b->tensor = NULL;
  df_tensor_release(x);
  return 0;
}

/* ==== properties ==================================================================== */

/*** Tensor:shape
** The sizes of all dimensions.
** @return integer[] */
static int l_shape(lua_State *L) {
  dfl_at_most(L, 1);
  const df_tensor *x = dfl_stored(L, 1);
  lua_createtable(L, x->shape.ndim, 0);
  for (int i = 0; i < x->shape.ndim; i++) {
    lua_pushinteger(L, x->shape.size[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/*** Tensor:size
** The size of one dimension.
** @param dim integer from 1, or from -1 for the last
** @return integer */
static int l_size(lua_State *L) {
  dfl_at_most(L, 2);
  const df_tensor *x = dfl_stored(L, 1);
  lua_pushinteger(L, x->shape.size[dfl_dim(L, 2, x)]);
  return 1;
}

static int l_length(lua_State *L) {
  const df_tensor *x = dfl_stored(L, 1);
  if (x->shape.ndim == 0) return luaL_error(L, "a tensor of no dimensions has no length");
  lua_pushinteger(L, x->shape.size[0]);
  return 1;
}

/*** Tensor:dim
** The number of dimensions.
** @return integer */
static int l_ndim(lua_State *L) {
  dfl_at_most(L, 1);
  lua_pushinteger(L, dfl_stored(L, 1)->shape.ndim);
  return 1;
}

/*** Tensor:numel
** The number of elements.
** @return integer */
static int l_numel(lua_State *L) {
  dfl_at_most(L, 1);
  lua_pushinteger(L, df_tensor_count(dfl_stored(L, 1)));
  return 1;
}

/*** Tensor:dtype
** The type of the elements.
** @return string "f32", "f64", "f16", "bf16", "i64" or "u8" */
static int l_dtype(lua_State *L) {
  dfl_at_most(L, 1);
  lua_pushstring(L, df_dtype_name(dfl_stored(L, 1)->dtype));
  return 1;
}

/*** Tensor:is_contiguous
** True if the elements are in order without gaps.
** @return boolean */
static int l_is_contiguous(lua_State *L) {
  dfl_at_most(L, 1);
  lua_pushboolean(L, df_tensor_is_dense(dfl_stored(L, 1)));
  return 1;
}

/*** Tensor:version
** The number of writes to the memory of this tensor.
** @return integer */
static int l_version(lua_State *L) {
  dfl_at_most(L, 1);
  lua_pushinteger(L, (lua_Integer)df_tensor_version(dfl_tensor(L, 1)));
  return 1;
}

/* A record keeps only this if its values are needed and its gradient is not. */
static int l_gradient(lua_State *L) {
  const df_tensor *x = dfl_tensor(L, 1);
  if (x->leaf && x->leaf->arrived) dfl_push(L, x->leaf->grad);
  else luaL_pushfail(L);
  return 1;
}

/* ==== the metatable ================================================================= */

/* Reads positions and the gradient. */
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

static int l_pairs(lua_State *L) {
  const df_tensor *x = dfl_tensor(L, 1);
  lua_pushfstring(L,
                  "pairs(x) of a tensor %s: ipairs(x) goes through its first dimension, "
                  "x:totable() makes a table",
                  df_tensor_text(x));
  return dfl_raise_at_user(L);
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

/* is_stored(x): x is a tensor of weights in blocks, which are only read */
static int l_is_stored(lua_State *L) {
  const dfl_box *b = luaL_testudata(L, 1, DFL_TENSOR);
  lua_pushboolean(L, b && b->tensor && df_dtype_in_blocks(b->tensor->dtype));
  return 1;
}

static const luaL_Reg functions[] = {
  { "is_tensor", l_is_tensor },
  { "is_stored", l_is_stored },
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
  lua_getfield(L, LUA_REGISTRYINDEX, DFL_CORE);
  lua_getfield(L, -1, "methods");
  lua_remove(L, -2);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__methods");
  dfl_push_porch(L, l_index, &read);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
