/* Values of Lua as text for messages and terminals. */
#include "base/printable.h"
#include "binding/binding.h"
#include "binding/state.h"

const char *dfl_printable(lua_State *L, int index, bool lines) {
  size_t bytes;
  const char *text = luaL_tolstring(L, index, &bytes);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, DF_PRINTABLE_ROOM(bytes));
  luaL_pushresultsize(&b, df_printable(out, text, bytes, lines));
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

const char *dfl_briefly(lua_State *L, int index) {
  const dfl_box *box = luaL_testudata(L, index, DFL_TENSOR);
  const df_tensor *x = box ? box->tensor : NULL;
  if (lua_isnone(L, index)) return "none";
  if (x) return lua_pushfstring(L, "a tensor %s", df_tensor_text(x));
  if (lua_type(L, index) == LUA_TNUMBER
      && lua_tonumber(L, index) != lua_tonumber(L, index))
    return "nan";
  bool itself = lua_isstring(L, index) || lua_isboolean(L, index) || lua_isnil(L, index);
  return itself ? dfl_printable(L, index, false)
                : lua_pushfstring(L, "a %s", luaL_typename(L, index));
}
