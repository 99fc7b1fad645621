/* The tables of "diffusion.core": ops, methods of tensors, plain functions. */
#include "binding/binding.h"

static void core_table(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, DFL_CORE);
  if (!name) return;
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

static int run_row(lua_State *L) {
  const dfl_op *row = lua_touserdata(L, lua_upvalueindex(1));
  dfl_at_most(L, row->most);
  return dfl_run(L, row->run);
}

/* Adds rows to core.ops, and to another table too. */
static void add_ops(lua_State *L, const dfl_op *rows, const char *other) {
  static const luaL_Reg run = { "op", run_row };
  core_table(L, "ops");
  core_table(L, other);
  core_table(L, "op_examples");
  for (const dfl_op *row = rows; row->name; row++) {
    lua_pushlightuserdata(L, (void *)row);
    dfl_push_function(L, &run);
    dfl_name_function(L, row->name);
    lua_pushvalue(L, -1);
    lua_setfield(L, -5, row->name);
    lua_setfield(L, -3, row->name);
    if (row->examples) lua_pushstring(L, row->examples);
    else lua_pushboolean(L, 0);
    lua_setfield(L, -2, row->name);
  }
  lua_pop(L, 3);
}

void dfl_ops(lua_State *L, const dfl_op *rows) { add_ops(L, rows, "methods"); }

void dfl_plain_ops(lua_State *L, const dfl_op *rows) { add_ops(L, rows, "ops"); }

void dfl_methods(lua_State *L, const luaL_Reg *rows) {
  core_table(L, "methods");
  dfl_set_functions(L, rows);
  lua_pop(L, 1);
}

void dfl_functions(lua_State *L, const luaL_Reg *rows) {
  core_table(L, NULL);
  dfl_set_functions(L, rows);
  lua_pop(L, 1);
}
