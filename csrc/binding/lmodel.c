/* Parameter buffers in Lua: naming layers, making values, and parameters by number.
** lua/diffusion/nn/model.lua makes models of them. */
#include "binding/lmodel.h"

#include <stdlib.h>

typedef struct home_box {
  df_home *home;
} home_box;

df_home *dfl_home(lua_State *L, int arg) {
  const home_box *b = luaL_checkudata(L, arg, DFL_HOME);
  return dfl_living(L, arg, b->home);
}

df_home **dfl_homes(lua_State *L, int arg, int *n) {
  *n = (int)luaL_len(L, arg);
  df_home **home = lua_newuserdatauv(L, ((size_t)*n + 1) * sizeof *home, 0);
  for (int i = 0; i < *n; i++, lua_pop(L, 1)) {
    lua_geti(L, arg, i + 1);
    home[i] = dfl_home(L, -1);
  }
  return home;
}

/* buffer:drop(), also the finaliser. If it was not started, its layers are free again. */
static int l_drop(lua_State *L) {
  home_box *b = luaL_checkudata(L, 1, DFL_HOME);
  df_home *home = b->home;
  b->home = NULL;
  df_home_release(home);
  return 0;
}

/* ==== packing ======================================================================= */

/* Element i of the list at 1: {path, layer}. The path and the layer are left on the
** stack. */
static df_layer *named_layer(lua_State *L, lua_Integer i, const char **path) {
  lua_geti(L, 1, i);
  lua_geti(L, -1, 1);
  *path = luaL_checkstring(L, -1);
  lua_geti(L, -2, 2);
  return dfl_layer(L, lua_gettop(L));
}

static int count_all(lua_State *L, lua_Integer n) {
  int room = 0;
  const char *path;
  for (lua_Integer i = 1; i <= n; i++) {
    room += df_layer_count(named_layer(L, i, &path));
    lua_pop(L, 3);
  }
  return room;
}

/* Names the layers of the list at 1 and pushes their parameters, each once; how many is
** in *n. */
static df_param **push_named(lua_State *L, int *n) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer layers = luaL_len(L, 1);
  int room = count_all(L, layers);
  df_param **list = lua_newuserdatauv(L, ((size_t)room + 1) * sizeof *list, 0);
  *n = 0;
  for (lua_Integer i = 1; i <= layers; i++) {
    const char *path;
    df_layer *layer = named_layer(L, i, &path);
    *n = df_layer_name(layer, path, list, *n);
    lua_pop(L, 3);
    if (*n < 0) dfl_raise(L);
  }
  return list;
}

static void push_shape(lua_State *L, const df_shape *shape) {
  lua_createtable(L, shape->ndim, 0);
  for (int k = 0; k < shape->ndim; k++) {
    lua_pushinteger(L, shape->size[k]);
    lua_rawseti(L, -2, k + 1);
  }
}

/* parameters(list of {path, layer}) -> list of {name, shape}: what `home` would make room
** for, and none is made */
static int l_parameters(lua_State *L) {
  int n;
  df_param **list = push_named(L, &n);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_createtable(L, 2, 0);
    lua_pushstring(L, list[i]->name);
    lua_rawseti(L, -2, 1);
    push_shape(L, &list[i]->shape);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* core.home(list of {path, layer}): names the parameters of the layers, each once. They
** have no values until `start`. */
static int l_home(lua_State *L) {
  int n;
  luaL_checktype(L, 1, LUA_TTABLE);
  home_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->home = NULL;
  luaL_setmetatable(L, DFL_HOME);
  df_param **list = push_named(L, &n);
  b->home = df_home_new(list, n);
  if (!b->home) return dfl_raise(L);
  lua_pop(L, 1);
  return 1;
}

/* ==== parameters, numbered from 1 =================================================== */

static df_param *param_at(lua_State *L) {
  const df_home *h = dfl_home(L, 1);
  return h->param[dfl_position(L, 2, h->n, "a model")];
}

static int l_count(lua_State *L) {
  lua_pushinteger(L, dfl_home(L, 1)->n);
  return 1;
}

/* elements, and those that are trainable */
static int l_elements(lua_State *L) {
  const df_home *h = dfl_home(L, 1);
  lua_pushinteger(L, (lua_Integer)df_home_elements(h, false));
  lua_pushinteger(L, (lua_Integer)df_home_elements(h, true));
  return 2;
}

static int l_name(lua_State *L) {
  lua_pushstring(L, param_at(L)->name);
  return 1;
}

static int l_value(lua_State *L) {
  const df_param *p = param_at(L);
  if (!p->value) return luaL_error(L, "model: '%s' has no value yet", p->name);
  dfl_push(L, p->value);
  return 1;
}

static int l_trainable(lua_State *L) {
  lua_pushboolean(L, param_at(L)->leaf.trainable);
  return 1;
}

/* The numbers in the list at 2, as an array that is left on the stack. */
static int *push_numbers(lua_State *L, const df_home *h, int *n) {
  luaL_checktype(L, 2, LUA_TTABLE);
  *n = (int)luaL_len(L, 2);
  int *index = lua_newuserdatauv(L, ((size_t)*n + 1) * sizeof *index, 0);
  for (int k = 0; k < *n; k++) {
    lua_geti(L, 2, k + 1);
    index[k] = (int)dfl_position(L, lua_gettop(L), h->n, "a model");
    lua_pop(L, 1);
  }
  return index;
}

/* set_trainable(list of numbers, boolean) */
static int l_set_trainable(lua_State *L) {
  df_home *h = dfl_home(L, 1);
  int n;
  bool on = lua_toboolean(L, 3);
  const int *index = push_numbers(L, h, &n);
  return df_home_set_trainable(h, index, n, on) == DF_OK ? 0 : dfl_raise(L);
}

/* adopt(i, tensor) and give(i, tensor), before start() */
static int take(lua_State *L, df_code (*how)(df_home *h, int i, df_tensor *x)) {
  df_home *h = dfl_home(L, 1);
  df_int i = dfl_position(L, 2, h->n, "a model");
  if (how(h, (int)i, dfl_stored(L, 3)) != DF_OK) dfl_raise(L);
  return 0;
}

static int l_adopt(lua_State *L) { return take(L, df_home_adopt); }

static int l_give(lua_State *L) { return take(L, df_home_give); }

/* put(list of numbers, list of tensors), after start() */
static int l_put(lua_State *L) {
  df_home *h = dfl_home(L, 1);
  int n;
  const int *index = push_numbers(L, h, &n);
  df_tensor **x = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *x, 0);
  for (int k = 0; k < n; k++) {
    lua_geti(L, 3, k + 1);
    x[k] = dfl_tensor(L, lua_gettop(L));
    lua_pop(L, 1);
  }
  return df_home_put(h, index, x, n) == DF_OK ? 0 : dfl_raise(L);
}

/* start([seed]): that of manual_seed if not given */
static int l_start(lua_State *L) {
  df_home *h = dfl_home(L, 1);
  const uint64_t own = df_tape_seeded(dfl_tape(L));
  dfl_collect(L);
  if (df_home_start(h, (uint64_t)luaL_optinteger(L, 2, (lua_Integer)own)) != DF_OK)
    dfl_raise(L);
  return 0;
}

/* is_adopted(i) */
static int l_is_adopted(lua_State *L) {
  const df_param *p = param_at(L);
  lua_pushboolean(L, p->value && p->at < 0);
  return 1;
}

static int l_adopted(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dfl_home(L, 1)->adopted);
  return 1;
}

static const luaL_Reg methods[] = {
  { "count", l_count },
  { "elements", l_elements },
  { "name", l_name },
  { "value", l_value },
  { "trainable", l_trainable },
  { "set_trainable", l_set_trainable },
  { "adopt", l_adopt },
  { "give", l_give },
  { "start", l_start },
  { "adopted", l_adopted },
  { "put", l_put },
  { "is_adopted", l_is_adopted },
  { "drop", l_drop },
  { NULL, NULL },
};

static const luaL_Reg functions[] = {
  { "home", l_home },
  { "parameters", l_parameters },
  { NULL, NULL },
};

void dfl_open_model(lua_State *L) {
  dfl_functions(L, functions);
  dfl_new_type(L, DFL_HOME, l_drop, NULL, methods);
}
