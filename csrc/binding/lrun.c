/* The trampoline that runs ops. When memory is short, it collects garbage and tries once
** more. */
#include "base/alloc.h"
#include "binding/binding.h"
#include "binding/state.h"
#include "ops/mark.h"

/* ==== memory pressure: the collector doesn't see tensors ============================ */

#define SOFT_LIMIT ((size_t)256 << 20)

/* The next collection is at twice the bytes that are alive. If there is a memory limit,
** it is at most half way to the limit, so that garbage alone cannot reach it. */
static size_t soft_limit(void) {
  df_memory m = df_memory_now();
  size_t soft = 2 * m.live > SOFT_LIMIT ? 2 * m.live : SOFT_LIMIT;
  if (!m.limit) return soft;
  size_t half = m.live < m.limit ? m.live + (m.limit - m.live) / 2 : m.limit;
  return half < soft ? half : soft;
}

static void collect(lua_State *L, dfl_state *s) {
  if (!lua_gc(L, LUA_GCISRUNNING)) return;
  lua_gc(L, LUA_GCCOLLECT);
  s->soft_limit = soft_limit();
}

bool dfl_collect_now(lua_State *L) {
  collect(L, dfl_context(L));
  return true;
}

void dfl_collect(lua_State *L) {
  dfl_state *s = dfl_context(L);
#ifdef DF_STRESS
  lua_gc(L, LUA_GCCOLLECT);
#endif
  df_memory m = df_memory_now();
  if (m.limit != s->limit || s->soft_limit == 0) /* a new limit: garbage may be over it */
    s->limit = m.limit, s->soft_limit = m.limit ? m.limit / 2 : SOFT_LIMIT;
  if (m.live > s->soft_limit) collect(L, s);
}

/* ==== the trampoline ================================================================ */

/* Nested calls have recorded nodes since the mark: those stay. */
static void rewind_to(dfl_state *s, const df_mark *mark, uint64_t calls) {
  if (s->calls == calls) df_tape_rewind(s->tape, mark);
  else df_scope_close(s->tape, mark->scope);
}

static df_tensor *attempt(lua_State *L, dfl_state *s, dfl_maker *make) {
  int top = lua_gettop(L);
  dfl_collect(L);
  df_mark mark = df_tape_mark(s->tape);
  uint64_t calls = s->calls;
  df_tensor *y = make(L, s->tape);
  if (y || df_error_code() != DF_MEMORY) return y;
  lua_settop(L, top);
  rewind_to(s, &mark, calls);
  collect(L, s);
  mark = df_tape_mark(s->tape), calls = s->calls; /* finalisers may have computed */
  y = make(L, s->tape);
  if (!y) rewind_to(s, &mark, calls); /* a record keeps nothing of what failed */
  return y;
}

int dfl_run(lua_State *L, dfl_maker *make) {
  dfl_state *s = dfl_context(L);
  dfl_check_open(L, s);
  size_t mark = df_scope_open(s->tape);
  df_tensor *y = attempt(L, s, make);
  if (!y) return dfl_raise(L);
  dfl_push(L, y);
  df_scope_close(s->tape, mark);
  return 1;
}
