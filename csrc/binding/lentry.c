/* The door, through which Lua calls the binding. Lua may run a finaliser at any
** allocation. Metamethods and custom ops are Lua functions too. Any of them may
** compute, free a tensor or close a scope in the middle of a call. So each call has
** its own level in the tape's scope. The call keeps its arguments there and releases
** only that level. */
#include "binding/binding.h"
#include "binding/state.h"

enum { OWN = 1, ROW, STATE = DFL_DOOR_STATE }; /* upvalues of the door */

/* The C stack grows downwards, so a nested call has a lower address than its caller.
** Levels at this address or below belong to calls that ended with an error. Their tensors
** stay if an outer call is still active. The outer call has created tensors since, above
** them, and releases all of them when it returns. */
static void drop_dead(dfl_state *s, uintptr_t frame) {
  while (s->levels > 0 && s->level[s->levels - 1].frame <= frame) s->levels--;
  if (s->levels == 0) df_scope_close(s->tape, 0);
}

static void enter(lua_State *L, dfl_state *s, uintptr_t frame) {
  if (!s->tape)
    luaL_error(L, "the Lua state is closing: diffusion has released its memory and "
                  "cannot compute");
  drop_dead(s, frame);
  if (s->levels == DFL_NESTED)
    luaL_error(L, "nested calls of diffusion: at most %d", DFL_NESTED);
  s->level[s->levels++] = (dfl_level){ frame, df_scope_open(s->tape) };
  s->calls++;
}

int dfl_door(lua_State *L) {
  const luaL_Reg *row = lua_touserdata(L, lua_upvalueindex(ROW));
  dfl_state *s = lua_touserdata(L, lua_upvalueindex(STATE));
  enter(L, s, (uintptr_t)__builtin_frame_address(0));
  int here = s->levels - 1, results = row->func(L);
  s->levels = here;
  df_scope_close(s->tape, s->level[here].mark);
  return results;
}

df_tensor *dfl_hold(lua_State *L, df_tensor *x) {
  if (x && !df_scope_own(dfl_tape(L), df_tensor_retain(x))) dfl_raise(L);
  return x;
}

/* ==== registration ================================================================== */

void dfl_push_porch(lua_State *L, lua_CFunction outer, const luaL_Reg *row) {
  lua_pushlightuserdata(L, (void *)row);
  dfl_push_context(L);
  lua_pushcclosure(L, outer, STATE);
}

void dfl_push_function(lua_State *L, const luaL_Reg *row) {
  dfl_push_porch(L, dfl_door, row);
  dfl_name_function(L, row->name);
}

void dfl_set_functions(lua_State *L, const luaL_Reg *rows) {
  for (const luaL_Reg *row = rows; row->name; row++) {
    lua_pushnil(L); /* upvalue 1 is unused */
    dfl_push_function(L, row);
    lua_setfield(L, -2, row->name);
  }
}

void dfl_new_type(lua_State *L, const char *name, lua_CFunction finaliser,
                  const luaL_Reg *meta, const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  if (meta) dfl_set_functions(L, meta);
  lua_pushcfunction(L, finaliser);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  dfl_set_functions(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
