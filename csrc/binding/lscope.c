/* d.scope: at its end it releases the boxes made in it, except its results. */
#include "binding/binding.h"
#include "binding/state.h"

#define DFL_SCOPE "diffusion.scope"

/* unscope(x) -> x, a tensor that stays alive after the open scopes */
static int l_unscope(lua_State *L) {
  dfl_unscope(L, 1);
  lua_settop(L, 1);
  return 1;
}

static int l_open(lua_State *L) {
  dfl_check_open(L, dfl_context(L));
  dfl_extent *e = lua_newuserdatauv(L, sizeof *e, 1);
  *e = (dfl_extent){ .what = NULL };
  luaL_setmetatable(L, DFL_SCOPE);
  dfl_extent_open(L, e, "d.scope", 1);
  e->depth++;
  return 1;
}

static void free_boxes(dfl_state *s, int depth) {
  while (s->newest && s->newest->depth >= depth) {
    dfl_box *b = s->newest;
    dfl_unlink_box(s, b);
    df_tensor_release(b->tensor);
    b->tensor = NULL;
  }
}

#define ESCAPING (-1) /* depth of a result while other boxes are released */

static void spare(lua_State *L, dfl_state *s, int index, int depth) {
  dfl_box *b = luaL_testudata(L, index, DFL_TENSOR);
  if (!b || b->depth < depth) return;
  dfl_unlink_box(s, b);
  b->depth = ESCAPING;
}

static void take_out(lua_State *L, dfl_state *s, int index) {
  dfl_box *b = luaL_testudata(L, index, DFL_TENSOR);
  if (!b || b->depth != ESCAPING) return;
  b->depth = 0;
  dfl_link_box(s, b);
}

/* Ends the scope at 1. The results, from 2 to `last`, move to the outer scope. All other
** boxes that were made in it are released. */
static const char *end(lua_State *L, int last) {
  dfl_extent *e = luaL_checkudata(L, 1, DFL_SCOPE);
  dfl_state *s = dfl_context(L);
  if (!e->what) return NULL; /* already ended */
  for (int i = 2; i <= last; i++) spare(L, s, i, e->depth);
  free_boxes(s, e->depth);
  const char *left = dfl_extent_close(L, e);
  for (int i = 2; i <= last; i++) take_out(L, s, i);
  return left;
}

/* scope:keep(results...) -> results */
static int l_keep(lua_State *L) {
  int last = lua_gettop(L);
  const char *left = end(L, last);
  return left ? dfl_extent_left(L, left) : last - 1;
}

/* An error that is being raised is not replaced by another. */
static int l_close(lua_State *L) {
  const char *left = end(L, 1);
  return left && lua_isnoneornil(L, 2) ? dfl_extent_left(L, left) : 0;
}

static int l_gc(lua_State *L) {
  dfl_extent_forget(dfl_context(L), luaL_checkudata(L, 1, DFL_SCOPE));
  return 0;
}

static const luaL_Reg functions[] = {
  { "scope_open", l_open },
  { "unscope", l_unscope },
  { NULL, NULL },
};

static const luaL_Reg methods[] = { { "keep", l_keep }, { NULL, NULL } };

static const luaL_Reg meta[] = { { "__close", l_close }, { NULL, NULL } };

void dfl_open_scope(lua_State *L) {
  dfl_functions(L, functions);
  dfl_new_type(L, DFL_SCOPE, l_gc, meta, methods);
}
