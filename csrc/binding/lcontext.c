/* The context of a Lua state, and how the core's errors leave it. */
#include "binding/binding.h"
#include "binding/state.h"

static const char context_key; /* its address names the context in the registry */

dfl_state *dfl_door_state(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(DFL_DOOR_STATE));
}

void dfl_push_context(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key); }

dfl_state *dfl_context(lua_State *L) {
  dfl_state *s = dfl_door_state(L);
  if (s) return s;
  dfl_push_context(L);
  s = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return s;
}

df_tape *dfl_tape(lua_State *L) { return dfl_context(L)->tape; }

static int free_context(lua_State *L) {
  dfl_state *s = lua_touserdata(L, 1);
  df_tape_free(s->tape);
  s->tape = NULL;
  return 0;
}

void dfl_make_context(lua_State *L) {
  dfl_state *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (dfl_state){ .tape = NULL };
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, free_context);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
  s->tape = df_tape_new();
  if (!s->tape) dfl_raise(L);
}

/* ==== errors ======================================================================== */

int dfl_raise_at_user(lua_State *L) {
  lua_Debug at;
  int level = 1;
  while (lua_getstack(L, level, &at) && lua_getinfo(L, "l", &at) && at.currentline < 0)
    level++;
  luaL_where(L, level);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

/* The sentence is taken first: to say where we are may run a finaliser that fails too. */
int dfl_raise(lua_State *L) {
  lua_pushstring(L, df_error_text());
  luaL_where(L, 1);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

int dfl_nil(lua_State *L) {
  luaL_pushfail(L);
  lua_pushstring(L, df_error_text());
  return 2;
}

int dfl_world(lua_State *L, const char *path) {
  if (df_error_code() == DF_MEMORY) return dfl_raise(L);
  if (path) df_error_prefix("%s: ", path);
  return dfl_nil(L);
}
