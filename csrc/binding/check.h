/* Argument checks as in lauxlib, whose messages name the function.
**
** Lua's own checks take the name from the call site. A function called by pcall, by a
** tail call or as a metamethod has no name there, and the message says "bad argument #1
** to '?'". These checks use the name under which the function was registered, or omit it.
** In the binding, luaL_check..., luaL_opt... and luaL_arg... call these functions. */
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

/* luaL_setfuncs, and stores the names */
void dfl_setfuncs(lua_State *L, const luaL_Reg *rows, int upvalues);
/* Stores the name of the function at the top of the stack. */
void dfl_name_function(lua_State *L, const char *name);
/* The stored name of the function at the top of the stack, or NULL. Pushes two values. */
const char *dfl_function_name(lua_State *L);

#ifndef dfl_check_c /* lcheck.c itself calls lauxlib */
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
