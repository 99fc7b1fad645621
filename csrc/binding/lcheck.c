/* The checks of check.h. */
#define dfl_check_c
#include "binding/binding.h"

#include <stdbool.h>
#include <string.h>

/* The name of the function at the top of the stack, or NULL; the function stays there.
** For a method it is the name at the call. For other functions the registered name comes
** first, since the call may use a local variable. */
static const char *name_of(lua_State *L, const lua_Debug *call) {
  const char *here = call->name && strcmp(call->name, "?") != 0 ? call->name : NULL;
  if (here && strncmp(call->namewhat, "meta", 4) == 0) return here;
  if (here && strcmp(call->namewhat, "method") == 0) return here;
  const char *own = dfl_function_name(L);
  return own ? own : here;
}

int dfl_argerror(lua_State *L, int arg, const char *what) {
  lua_Debug call;
  if (!lua_getstack(L, 0, &call))
    return luaL_error(L, "bad argument #%d (%s)", arg, what);
  lua_getinfo(L, "nf", &call);
  bool method = strcmp(call.namewhat, "method") == 0;
  const char *name = name_of(L, &call);
  if (!name) return luaL_error(L, "bad argument #%d (%s)", arg, what);
  if (method && arg == 1)
    return luaL_error(L, "calling '%s' on bad self (%s)", name, what);
  return luaL_error(L, "bad argument #%d to '%s' (%s)", arg - method, name, what);
}

int dfl_typeerror(lua_State *L, int arg, const char *wanted) {
  const char *got = luaL_typename(L, arg);
  if (luaL_getmetafield(L, arg, "__name") == LUA_TSTRING) got = lua_tostring(L, -1);
  else if (lua_type(L, arg) == LUA_TLIGHTUSERDATA) got = "light userdata";
  return dfl_argerror(L, arg, lua_pushfstring(L, "%s expected, got %s", wanted, got));
}

static void refuse_type(lua_State *L, int arg, int type) {
  dfl_typeerror(L, arg, lua_typename(L, type));
}

void dfl_checktype(lua_State *L, int arg, int type) {
  if (lua_type(L, arg) != type) refuse_type(L, arg, type);
}

lua_Integer dfl_checkinteger(lua_State *L, int arg) {
  int whole;
  lua_Integer n = lua_tointegerx(L, arg, &whole);
  if (whole) return n;
  if (!lua_isnumber(L, arg)) refuse_type(L, arg, LUA_TNUMBER);
  dfl_argerror(
      L, arg, lua_pushfstring(L, "a whole number expected, got %s", dfl_briefly(L, arg)));
  return 0;
}

lua_Integer dfl_optinteger(lua_State *L, int arg, lua_Integer otherwise) {
  return lua_isnoneornil(L, arg) ? otherwise : dfl_checkinteger(L, arg);
}

lua_Number dfl_checknumber(lua_State *L, int arg) {
  int number;
  lua_Number x = lua_tonumberx(L, arg, &number);
  if (!number) refuse_type(L, arg, LUA_TNUMBER);
  return x;
}

lua_Number dfl_optnumber(lua_State *L, int arg, lua_Number otherwise) {
  return lua_isnoneornil(L, arg) ? otherwise : dfl_checknumber(L, arg);
}

const char *dfl_checklstring(lua_State *L, int arg, size_t *bytes) {
  dfl_checktype(L, arg, LUA_TSTRING); /* numbers are not accepted as strings */
  return lua_tolstring(L, arg, bytes);
}

const char *dfl_optlstring(lua_State *L, int arg, const char *otherwise, size_t *bytes) {
  if (!lua_isnoneornil(L, arg)) return dfl_checklstring(L, arg, bytes);
  if (bytes) *bytes = otherwise ? strlen(otherwise) : 0;
  return otherwise;
}

int dfl_checkoption(lua_State *L, int arg, const char *otherwise,
                    const char *const list[]) {
  if (!otherwise || !lua_isnoneornil(L, arg)) dfl_checktype(L, arg, LUA_TSTRING);
  const char *name = lua_isnoneornil(L, arg) ? otherwise : lua_tostring(L, arg);
  for (int i = 0; list[i]; i++)
    if (strcmp(list[i], name) == 0) return i;
  return dfl_argerror(L, arg, lua_pushfstring(L, "invalid option '%s'", name));
}

void *dfl_checkudata(lua_State *L, int arg, const char *kind) {
  void *box = luaL_testudata(L, arg, kind);
  if (!box) dfl_typeerror(L, arg, kind);
  return box;
}
