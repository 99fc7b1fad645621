/* Low-rank adapters in Lua. lua/diffusion/nn/lora.lua defines the public interface. */
#include "binding/lmodel.h"
#include "nn/adapter.h"

/* core.layer_path(layer) -> its path in its model, or nil */
static int l_path(lua_State *L) {
  lua_pushstring(L, dfl_layer(L, 1)->path);
  return 1;
}

/* core.layer_adapts(layer) -> can it have adapters? */
static int l_adapts(lua_State *L) {
  lua_pushboolean(L, dfl_layer(L, 1)->kind->adapts);
  return 1;
}

/* core.layer_is_fused(layer) -> has this attention one weight for q, k and v? */
static int l_is_fused(lua_State *L) {
  lua_pushboolean(L, dfl_layer(L, 1)->o.fused);
  return 1;
}

/* core.adapter(layer, rank, parts, normal) -> down, up: layers without values */
static int l_adapter(lua_State *L) {
  const df_layer *layer = dfl_layer(L, 1);
  const df_int rank = (df_int)luaL_checkinteger(L, 2),
               parts = (df_int)luaL_checkinteger(L, 3);
  df_layer **down = dfl_new_layer(L), **up = dfl_new_layer(L);
  *down = df_adapter_down(layer, rank, luaL_checknumber(L, 4));
  *up = *down ? df_adapter_up(layer, rank, parts) : NULL;
  return *up ? 2 : dfl_raise(L);
}

/* core.adapter_add(layer, down, up, part): part from 0 */
static int l_add(lua_State *L) {
  df_layer *layer = dfl_layer(L, 1), *down = dfl_layer(L, 2), *up = dfl_layer(L, 3);
  const df_int at = (df_int)luaL_checkinteger(L, 4) * up->o.out;
  return df_adapter_add(layer, down, up, at) == DF_OK ? 0 : dfl_raise(L);
}

/* core.adapter_remove(layer, down) */
static int l_remove(lua_State *L) {
  df_adapter_remove(dfl_layer(L, 1), dfl_layer(L, 2));
  return 0;
}

/* core.adapter_set(layer, down, scale, dropout) */
static int l_set(lua_State *L) {
  df_adapter_set(dfl_layer(L, 1), dfl_layer(L, 2), luaL_checknumber(L, 3),
                 luaL_checknumber(L, 4));
  return 0;
}

static const luaL_Reg functions[] = {
  { "layer_path", l_path },         { "layer_adapts", l_adapts },
  { "layer_is_fused", l_is_fused }, { "adapter", l_adapter },
  { "adapter_add", l_add },         { "adapter_remove", l_remove },
  { "adapter_set", l_set },         { NULL, NULL },
};

void dfl_open_adapter(lua_State *L) { dfl_functions(L, functions); }
