/* luaopen: the state's context, the trampoline that runs ops, and the tables that the Lua
** side finds in "diffusion.core". */
#include "base/alloc.h"
#include "base/fork.h"
#include "base/pool.h"
#include "binding/binding.h"
#include "kernels/kernels.h"
#include "binding/state.h"

static const char context_key; /* its address names the context in the registry */

void dfl_push_context(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key); }

dfl_state *dfl_context(lua_State *L) {
  dfl_state *s = dfl_door_state(L);
  if (s) return s;
  dfl_push_context(L);
  s = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return s;
}

df_tape *dfl_tape(lua_State *L) { return dfl_context(L)->tape; }

/* The sentence is taken first: to say where we are may run a finaliser that fails too. */
int dfl_raise(lua_State *L) {
  lua_pushstring(L, df_error_text());
  luaL_where(L, 1);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

int dfl_nil(lua_State *L) {
  luaL_pushfail(L);
  lua_pushstring(L, df_error_text());
  return 2;
}

int dfl_world(lua_State *L, const char *path) {
  if (df_error_code() == DF_MEMORY) return dfl_raise(L);
  if (path) df_error_prefix("%s: ", path);
  return dfl_nil(L);
}

/* ==== memory pressure: the collector doesn't see tensors ============================ */

#define SOFT_LIMIT ((size_t)256 << 20)

/* Where to collect next, with so much alive: at twice that, and where there is a limit
** half way to it at the latest, so that garbage is never all that stands in the way. */
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

/* What calls from within have recorded since the mark is theirs, and stays. */
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

static int run_row(lua_State *L) {
  const dfl_op *row = lua_touserdata(L, lua_upvalueindex(1));
  dfl_at_most(L, row->most);
  return dfl_run(L, row->run);
}

/* ==== tables ======================================================================== */

static void core_table(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, "diffusion.core");
  if (!name) return;
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

/* Adds rows to core.ops, and to another table too. */
static void add_ops(lua_State *L, const dfl_op *rows, const char *other) {
  static const luaL_Reg run = { "op", run_row };
  core_table(L, "ops");
  core_table(L, other);
  core_table(L, "op_examples");
  for (const dfl_op *row = rows; row->name; row++) {
    lua_pushlightuserdata(L, (void *)row);
    dfl_push_function(L, &run);
    dfl_name_function(L, row->name);
    lua_pushvalue(L, -1);
    lua_setfield(L, -5, row->name);
    lua_setfield(L, -3, row->name);
    if (row->examples) lua_pushstring(L, row->examples);
    else lua_pushboolean(L, 0);
    lua_setfield(L, -2, row->name);
  }
  lua_pop(L, 3);
}

void dfl_ops(lua_State *L, const dfl_op *rows) { add_ops(L, rows, "methods"); }

void dfl_plain_ops(lua_State *L, const dfl_op *rows) { add_ops(L, rows, "ops"); }

void dfl_methods(lua_State *L, const luaL_Reg *rows) {
  core_table(L, "methods");
  dfl_set_functions(L, rows);
  lua_pop(L, 1);
}

void dfl_functions(lua_State *L, const luaL_Reg *rows) {
  core_table(L, NULL);
  dfl_set_functions(L, rows);
  lua_pop(L, 1);
}

static int free_context(lua_State *L) {
  dfl_state *s = lua_touserdata(L, 1);
  df_tape_free(s->tape);
  s->tape = NULL;
  return 0;
}

static void make_context(lua_State *L) {
  dfl_state *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (dfl_state){ .tape = NULL };
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, free_context);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
  s->tape = df_tape_new();
  if (!s->tape) dfl_raise(L);
}

static void make_core(lua_State *L) {
  static const char *const tables[] = { "ops", "methods", "op_examples", NULL };
  lua_newtable(L);
  for (int i = 0; tables[i]; i++) {
    lua_newtable(L);
    lua_setfield(L, -2, tables[i]);
  }
  lua_pushstring(L, df_dtype_name(DF_REAL)); /* what this build computes in */
  lua_setfield(L, -2, "real");
  lua_setfield(L, LUA_REGISTRYINDEX, "diffusion.core");
}

#define EXPORT __attribute__((visibility("default")))

#ifdef DF_DOUBLE
#define luaopen_here luaopen_diffusion_core64
#else
#define luaopen_here luaopen_diffusion_core
#endif

EXPORT int luaopen_here(lua_State *L);

EXPORT int luaopen_here(lua_State *L) {
  luaL_checkversion(L);
  df_fork_watch();
  if (df_kernels_choose(NULL) != DF_OK || df_threads_choose() != DF_OK) dfl_raise(L);
  make_context(L);
  make_core(L);
  dfl_open_text(L);
  dfl_open_tensor(L);
  dfl_open_scope(L);
  dfl_open_make(L);
  dfl_open_mix(L);
  dfl_open_op(L);
  dfl_open_product(L);
  dfl_open_random(L);
  dfl_open_layout(L);
  dfl_open_index(L);
  dfl_open_math(L);
  dfl_open_reduce(L);
  dfl_open_tape(L);
  dfl_open_layer(L);
  dfl_open_model(L);
  dfl_open_optim(L);
  dfl_open_interrupt(L);
  dfl_open_runtime(L);
  dfl_open_schedule(L);
  dfl_open_process(L);
  dfl_open_metric(L);
  dfl_open_io(L);
  dfl_open_write(L);
  dfl_open_picture(L);
  dfl_open_data(L);
  core_table(L, NULL);
  return 1;
}
