/* Networks in Lua: the calls that write a list of steps. lua/diffusion/nn/build.lua makes
** them; it has checked names and options. Slots count from 1 here, and 0 is none. */
#include <string.h>

#include "binding/lmodel.h"
#include "nn/net.h"

static df_layer *net_at(lua_State *L, int arg) {
  df_layer *layer = dfl_layer(L, arg);
  if (!df_is_net(layer)) luaL_argerror(L, arg, "a network expected, got a layer");
  return layer;
}

/* ==== inputs ======================================================================== */

/* The text in field i of the table at the top, in `to`. */
static void read_name(lua_State *L, lua_Integer i, char *to) {
  size_t length = 0;
  lua_geti(L, -1, i);
  const char *name = lua_tolstring(L, -1, &length);
  if (name && length > 0 && length < DF_NET_NAME && strlen(name) == length)
    memcpy(to, name, length + 1);
  else
    luaL_error(L, "net: a name of an input or a dimension has 1 to %d letters, got %s",
               DF_NET_NAME - 1, dfl_briefly(L, -1));
  lua_pop(L, 1);
}

static df_int read_size(lua_State *L, lua_Integer i) {
  lua_geti(L, -1, i);
  const df_int size = (df_int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return size;
}

/* The table at the top is a list of {name, size, multiple}; sizes of 0 are any. */
static void read_dims(lua_State *L, df_net_input *in) {
  const lua_Integer n = luaL_len(L, -1);
  if (n > DF_DIMS)
    luaL_error(L, "net: an input has at most %d dimensions, not %d", DF_DIMS, (int)n);
  in->ndim = (int)n;
  for (int i = 0; i < in->ndim; i++) {
    lua_geti(L, -1, i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    read_name(L, 1, in->dim[i].name);
    in->dim[i].size = read_size(L, 2);
    in->dim[i].multiple = read_size(L, 3);
    lua_pop(L, 1);
  }
}

static bool flag(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  const bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}

/* The table at the top: {name, dims, optional =, whole =} */
static void read_input(lua_State *L, df_net_input *in) {
  *in = (df_net_input){ .optional = flag(L, "optional"), .whole = flag(L, "whole") };
  read_name(L, 1, in->name);
  if (lua_geti(L, -1, 2) == LUA_TTABLE) read_dims(L, in);
  lua_pop(L, 1);
}

/* core.net(name, text, list of inputs) -> an empty network */
static int l_net(lua_State *L) {
  df_net_input input[DF_INPUTS];
  const char *name = luaL_checkstring(L, 1), *text = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  const lua_Integer n = luaL_len(L, 3);
  for (lua_Integer i = 1; i <= n && i <= DF_INPUTS; i++) {
    if (lua_geti(L, 3, i) != LUA_TTABLE) luaL_argerror(L, 3, "a list of tables expected");
    read_input(L, &input[i - 1]);
    lua_pop(L, 1);
  }
  df_layer **box = dfl_new_layer(L);
  *box = df_net_new(name, text, input, n > DF_INPUTS ? DF_INPUTS + 1 : (int)n);
  return *box ? 1 : dfl_raise(L);
}

/* ==== steps ========================================================================= */

/* The list of slots at arg; returns how many. */
static int read_slots(lua_State *L, int arg, int *in) {
  luaL_checktype(L, arg, LUA_TTABLE);
  const lua_Integer n = luaL_len(L, arg);
  for (lua_Integer i = 1; i <= n && i <= DF_INPUTS; i++) {
    lua_geti(L, arg, i);
    in[i - 1] = (int)lua_tointeger(L, -1) - 1;
    lua_pop(L, 1);
  }
  return n > DF_INPUTS ? DF_INPUTS + 1 : (int)n;
}

static int push_slot(lua_State *L, int slot) {
  if (slot < 0) return dfl_raise(L);
  lua_pushinteger(L, slot + 1);
  return 1;
}

/* core.net_add(net, path, layer, slots, recompute) -> slot */
static int l_add(lua_State *L) {
  int in[DF_INPUTS];
  df_layer *net = net_at(L, 1), *layer = dfl_layer(L, 3);
  const char *path = luaL_checkstring(L, 2);
  const int n = read_slots(L, 4, in);
  return push_slot(
      L, df_net_add(net, path, df_layer_retain(layer), in, n, lua_toboolean(L, 5)));
}

/* core.net_again(net, path, slots) -> slot: the part at the path once more */
static int l_again(lua_State *L) {
  int in[DF_INPUTS];
  df_layer *net = net_at(L, 1);
  const char *path = luaL_checkstring(L, 2);
  const int n = read_slots(L, 3, in);
  return push_slot(L, df_net_again(net, path, in, n));
}

/* core.net_done(net, slot [, names of the first parts, in order]) */
static int l_done(lua_State *L) {
  df_layer *net = net_at(L, 1);
  const int slot = (int)luaL_checkinteger(L, 2) - 1;
  if (!lua_isnoneornil(L, 3)) {
    luaL_checktype(L, 3, LUA_TTABLE);
    const int n = (int)luaL_len(L, 3);
    const char **name = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *name, 0);
    luaL_checkstack(L, n, "too many parts");
    for (int i = 0; i < n; i++) {
      lua_geti(L, 3, i + 1);
      name[i] = luaL_checkstring(L, -1);
    }
    if (df_net_order(net, name, n) != DF_OK) dfl_raise(L);
  }
  if (df_net_done(net, slot) != DF_OK) dfl_raise(L);
  return 0;
}

static int l_is_net(lua_State *L) {
  lua_pushboolean(L, df_is_net(dfl_layer(L, 1)));
  return 1;
}

static const luaL_Reg functions[] = {
  { "is_net", l_is_net },   { "net", l_net },       { "net_add", l_add },
  { "net_again", l_again }, { "net_done", l_done }, { NULL, NULL },
};

void dfl_open_net(lua_State *L) { dfl_functions(L, functions); }
