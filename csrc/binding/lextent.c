/* Open scopes and records. A scope frees the tensors made in it. Both nest, as calls do.
** A coroutine that is suspended in one leaves it open for all others, and their next use
** of it is an error. */
#include "binding/binding.h"
#include "binding/state.h"

/* A coroutine has ended, or is left (suspended), or waits for one that it resumed. */
typedef enum standing { ENDED, LEFT, WAITS } standing;

static standing standing_of(lua_State *thread) {
  lua_Debug call;
  if (lua_status(thread) == LUA_YIELD) return LEFT;
  bool calls = lua_getstack(thread, 0, &call);
  return lua_status(thread) == LUA_OK && calls ? WAITS : ENDED;
}

static int depth_of(const dfl_state *s) { return s->innermost ? s->innermost->depth : 0; }

/* The boxes of a scope that will not end belong to the collector. */
static void give_boxes(dfl_state *s, int depth) {
  for (dfl_box *b = s->newest, *older; b && b->depth >= depth; b = older) {
    older = b->older;
    if (b->depth == depth) dfl_unlink_box(s, b);
  }
}

/* Takes one out of the list, wherever it stands. */
static void drop(dfl_state *s, dfl_extent *e) {
  dfl_extent **at = &s->innermost;
  while (*at != e) at = &(*at)->outer;
  *at = e->outer;
  if (e->depth > (e->outer ? e->outer->depth : 0)) give_boxes(s, e->depth);
  if (s->tape && df_tape_depth(s->tape) == e->records + 1)
    df_tape_cut(s->tape, e->records);
  e->what = NULL;
}

void dfl_extent_forget(dfl_state *s, dfl_extent *e) {
  if (e->what) drop(s, e);
}

static int refuse(lua_State *L, const char *what) {
  return luaL_error(L,
                    "a coroutine is suspended inside %s. All coroutines share one stack "
                    "of scopes and records: resume it to the end of %s, or "
                    "coroutine.close it, before others compute",
                    what, what);
}

void dfl_check_open(lua_State *L, dfl_state *s) {
  for (dfl_extent *e = s->innermost; e && e->thread != L; e = s->innermost) {
    standing now = standing_of(e->thread);
    if (now == LEFT) refuse(L, e->what);
    if (now == WAITS) return;
    drop(s, e);
  }
}

void dfl_extent_open(lua_State *L, dfl_extent *e, const char *what, int at) {
  dfl_state *s = dfl_context(L);
  lua_pushthread(L);
  lua_setiuservalue(L, -2, at);
  *e = (dfl_extent){ .what = what,
                     .thread = L,
                     .outer = s->innermost,
                     .records = df_tape_depth(s->tape),
                     .depth = depth_of(s) };
  s->innermost = e;
}

const char *dfl_extent_close(lua_State *L, dfl_extent *e) {
  dfl_state *s = dfl_context(L);
  const char *left = NULL;
  for (dfl_extent *i = s->innermost; i != e; i = s->innermost) {
    if (i->thread != L && standing_of(i->thread) != ENDED) left = i->what;
    drop(s, i);
  }
  s->innermost = e->outer;
  e->what = NULL;
  df_tape_cut(s->tape, e->records);
  return left;
}

int dfl_extent_left(lua_State *L, const char *left) { return refuse(L, left); }

/* ==== boxes ========================================================================= */

void dfl_unlink_box(dfl_state *s, dfl_box *b) {
  if (b->depth == 0) return;
  if (b->newer) b->newer->older = b->older;
  else s->newest = b->older;
  if (b->older) b->older->newer = b->newer;
  b->older = b->newer = NULL;
  b->depth = 0;
}

void dfl_link_box(dfl_state *s, dfl_box *b) {
  if (depth_of(s) == 0) return;
  b->depth = depth_of(s);
  b->older = s->newest;
  if (s->newest) s->newest->newer = b;
  s->newest = b;
}
