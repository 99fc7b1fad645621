/* Lua's checks of arguments, with messages that name the function.
**
** Lua's own look for the name at the place of the call. Called by pcall, by a wrapper's
** tail call or as a metamethod, a function has none there: "bad argument #1 to '?'". Ours
** then know the name that it was registered by, or leave it out. Whatever the binding
** writes as luaL_check..., luaL_opt... or luaL_arg... is one of these. */
#ifndef dfl_check_h
#define dfl_check_h

#include <lauxlib.h>
#include <lua.h>

int dfl_argerror(lua_State *L, int arg, const char *what);
int dfl_typeerror(lua_State *L, int arg, const char *wanted);
void dfl_checktype(lua_State *L, int arg, int type);
lua_Integer dfl_checkinteger(lua_State *L, int arg);
lua_Integer dfl_optinteger(lua_State *L, int arg, lua_Integer otherwise);
lua_Number dfl_checknumber(lua_State *L, int arg);
lua_Number dfl_optnumber(lua_State *L, int arg, lua_Number otherwise);
const char *dfl_checklstring(lua_State *L, int arg, size_t *bytes);
const char *dfl_optlstring(lua_State *L, int arg, const char *otherwise, size_t *bytes);
int dfl_checkoption(lua_State *L, int arg, const char *otherwise,
                    const char *const list[]);
void *dfl_checkudata(lua_State *L, int arg, const char *kind);

/* luaL_setfuncs, which remembers the names */
void dfl_setfuncs(lua_State *L, const luaL_Reg *rows, int upvalues);
/* Remembers the name of the function at the top of the stack. */
void dfl_name_function(lua_State *L, const char *name);
/* The remembered name of that function, or NULL. Pushes two values. */
const char *dfl_function_name(lua_State *L);

#ifndef dfl_check_c /* where Lua's own are called */
#define luaL_argerror     dfl_argerror
#define luaL_typeerror    dfl_typeerror
#define luaL_checktype    dfl_checktype
#define luaL_checkinteger dfl_checkinteger
#define luaL_optinteger   dfl_optinteger
#define luaL_checknumber  dfl_checknumber
#define luaL_optnumber    dfl_optnumber
#define luaL_checklstring dfl_checklstring
#define luaL_optlstring   dfl_optlstring
#define luaL_checkoption  dfl_checkoption
#define luaL_checkudata   dfl_checkudata
#define luaL_setfuncs     dfl_setfuncs
#endif

#endif
