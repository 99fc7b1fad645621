/* The names that functions are registered by, for messages. */
#define dfl_check_c
#include "binding/binding.h"

static const char names_key; /* its address names the table of names in the registry */

static void push_names(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
}

void dfl_name_function(lua_State *L, const char *name) {
  push_names(L);
  lua_pushvalue(L, -2);
  lua_pushstring(L, name);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

const char *dfl_function_name(lua_State *L) {
  push_names(L);
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  return lua_isstring(L, -1) ? lua_tostring(L, -1) : NULL;
}

void dfl_setfuncs(lua_State *L, const luaL_Reg *rows, int upvalues) {
  luaL_setfuncs(L, rows, upvalues);
  for (const luaL_Reg *row = rows; row->name; row++) {
    lua_getfield(L, -1, row->name);
    dfl_name_function(L, row->name);
    lua_pop(L, 1);
  }
}
