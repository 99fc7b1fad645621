/* x[i]. */
#include "binding/binding.h"

int dfl_index(lua_State *L) { return luaL_error(L, "indexing lands next"); }

int dfl_newindex(lua_State *L) { return luaL_error(L, "indexing lands next"); }
