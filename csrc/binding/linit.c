/* luaopen: makes the state's context and the tables that the Lua side finds in
** "diffusion.core", then lets each file register its functions. */
#include "base/alloc.h"
#include "base/fork.h"
#include "base/pool.h"
#include "binding/binding.h"
#include "binding/state.h"
#include "io/map.h"
#include "kernels/kernels.h"

static void make_core(lua_State *L) {
  static const char *const tables[] = { "ops", "methods", "op_examples", NULL };
  lua_newtable(L);
  for (int i = 0; tables[i]; i++) {
    lua_newtable(L);
    lua_setfield(L, -2, tables[i]);
  }
  lua_pushstring(L, df_dtype_name(DF_REAL)); /* the type in which this build computes */
  lua_setfield(L, -2, "real");
  lua_setfield(L, LUA_REGISTRYINDEX, DFL_CORE);
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
  df_alloc_advise_by(df_map_huge);
  if (df_kernels_choose(NULL) != DF_OK || df_threads_choose() != DF_OK) dfl_raise(L);
  dfl_make_context(L);
  make_core(L);
  dfl_open_box(L);
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
  dfl_open_adapter(L);
  dfl_open_net(L);
  dfl_open_model(L);
  dfl_open_optim(L);
  dfl_open_over(L);
  dfl_open_interrupt(L);
  dfl_open_runtime(L);
  dfl_open_schedule(L);
  dfl_open_process(L);
  dfl_open_metric(L);
  dfl_open_io(L);
  dfl_open_write(L);
  dfl_open_picture(L);
  dfl_open_data(L);
  lua_getfield(L, LUA_REGISTRYINDEX, DFL_CORE);
  return 1;
}
