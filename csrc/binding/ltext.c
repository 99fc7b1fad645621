/* core.printable, and calls in the C locale. */
#include "base/locale.h"
#include "binding/binding.h"

/* printable(value [, one line]) -> tostring of it, made safe for terminals; with `one
** line`, line breaks and tabs become \n and \t too */
static int l_printable(lua_State *L) {
  luaL_checkany(L, 1);
  dfl_printable(L, 1, !lua_toboolean(L, 2));
  return 1;
}

/* in_c_locale(fn, ...) -> the results of fn, or its error. While fn runs, numbers,
** letters and sort order follow the C locale, not that of the host program. */
static int l_in_c_locale(lua_State *L) {
  df_locale l;
  luaL_checkany(L, 1);
  if (!df_locale_enter(&l)) return luaL_error(L, "not enough memory for a locale");
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  df_locale_leave(&l);
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* nearest(word, names) -> the nearest of the names if it may have been meant, or nil */
static int l_nearest(lua_State *L) {
  size_t letters;
  const char *word = luaL_checklstring(L, 1, &letters);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  size_t least = dfl_near(letters);
  lua_settop(L, 2);
  lua_pushnil(L); /* at 3: the nearest so far */
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 2, i);
    const char *name = lua_tostring(L, -1);
    if (name && dfl_nearer(L, word, letters, name, &least)) lua_replace(L, 3);
    else lua_pop(L, 1);
  }
  return 1;
}

static const luaL_Reg functions[] = {
  { "printable", l_printable },
  { "in_c_locale", l_in_c_locale },
  { "nearest", l_nearest },
  { NULL, NULL },
};

void dfl_open_text(lua_State *L) { dfl_functions(L, functions); }
