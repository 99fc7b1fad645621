/* diffusion/mpi.so: calls between ranks, for lua/diffusion/over/ranks.lua, which defines
** the public interface. */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "binding/hooks.h"
#include "comm/comm.h"

static int raise(lua_State *L) { return luaL_error(L, "mpi: %s", comm_fault()); }

static dfl_memory memory(lua_State *L, int arg, bool writes) {
  lua_getfield(L, LUA_REGISTRYINDEX, DFL_HOOKS);
  const dfl_hooks *hooks = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return hooks->memory(L, arg, writes);
}

static comm_kind kind_of(lua_State *L, const dfl_memory *m) {
  if (strcmp(m->dtype, "f32") == 0) return COMM_F32;
  if (strcmp(m->dtype, "f64") == 0) return COMM_F64;
  if (strcmp(m->dtype, "i64") != 0)
    luaL_error(L,
               "mpi: all_reduce: sums are of f32, f64 and i64, got %s; convert it by "
               "x:to \"f32\"",
               m->dtype);
  return COMM_I64;
}

/* ==== tensors ======================================================================= */

/* broadcast(x, from): x of all ranks becomes that of rank `from` */
static int l_broadcast(lua_State *L) {
  const dfl_memory m = memory(L, 1, true);
  const int from = (int)luaL_checkinteger(L, 2);
  return comm_broadcast(m.data, m.bytes, from) ? 0 : raise(L);
}

/* all_reduce(x): x becomes the sum over all ranks */
static int l_all_reduce(lua_State *L) {
  const dfl_memory m = memory(L, 1, true);
  return comm_all_reduce(m.data, m.elements, kind_of(L, &m)) ? 0 : raise(L);
}

static df_int *sizes(lua_State *L, df_int own, df_int *total) {
  df_int *list = lua_newuserdatauv(L, (size_t)comm_size() * sizeof *list, 0);
  if (!comm_gather_counts(own, list)) raise(L);
  *total = 0;
  for (int r = 0; r < comm_size(); r++) *total += list[r];
  return list;
}

/* gather(x, all): `all` becomes the elements of all ranks' x, in the order of ranks */
static int l_gather(lua_State *L) {
  const dfl_memory part = memory(L, 1, false), all = memory(L, 2, true);
  df_int total;
  const df_int *list = sizes(L, part.bytes, &total);
  if (total != all.bytes)
    return luaL_error(L, "mpi: gather: the parts have %I bytes, but there is room for %I",
                      (LUAI_UACINT)total, (LUAI_UACINT)all.bytes);
  return comm_gather(part.data, list, all.data) ? 0 : raise(L);
}

/* ==== strings and numbers =========================================================== */

/* gather_text(s) -> a list of all ranks' strings */
static int l_gather_text(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  df_int total;
  const df_int *list = sizes(L, (df_int)length, &total);
  char *all = lua_newuserdatauv(L, (size_t)total + 1, 0);
  if (!comm_gather(text, list, all)) return raise(L);
  lua_createtable(L, comm_size(), 0);
  for (int r = 0; r < comm_size(); r++) {
    lua_pushlstring(L, all, (size_t)list[r]);
    lua_rawseti(L, -2, r + 1);
    all += list[r];
  }
  return 1;
}

static int l_barrier(lua_State *L) { return comm_barrier() ? 0 : raise(L); }

/* sent() -> messages and bytes of sums in the tree that this rank has sent */
static int l_sent(lua_State *L) {
  const comm_traffic t = comm_sent();
  lua_pushinteger(L, (lua_Integer)t.messages);
  lua_pushinteger(L, (lua_Integer)t.bytes);
  return 2;
}

/* end_all(text, status) */
static int l_end_all(lua_State *L) {
  comm_end_all(luaL_checkstring(L, 1), (int)luaL_optinteger(L, 2, 1));
  return 0;
}

/* ==== registration ================================================================== */

static const luaL_Reg functions[] = {
  { "broadcast", l_broadcast }, { "all_reduce", l_all_reduce },
  { "gather", l_gather },       { "gather_text", l_gather_text },
  { "barrier", l_barrier },     { "sent", l_sent },
  { "end_all", l_end_all },     { NULL, NULL },
};

static void check_core(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "diffusion.core");
  lua_call(L, 1, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, DFL_HOOKS);
  const dfl_hooks *hooks = lua_touserdata(L, -1);
  if (!hooks || hooks->version != DFL_HOOKS_VERSION)
    luaL_error(L, "mpi: diffusion/mpi.so and the core are of different versions; build "
                  "both from one source");
  lua_pop(L, 1);
}

/* The functions of this file, with rank, size, host, library and link. */
static void push_calls(lua_State *L) {
  luaL_newlib(L, functions);
  lua_pushinteger(L, comm_rank());
  lua_setfield(L, -2, "rank");
  lua_pushinteger(L, comm_size());
  lua_setfield(L, -2, "size");
  lua_pushstring(L, comm_host());
  lua_setfield(L, -2, "host");
  lua_pushstring(L, comm_library());
  lua_setfield(L, -2, "library");
  lua_pushlightuserdata(L, (void *)comm_link());
  lua_setfield(L, -2, "link");
}

__attribute__((visibility("default"))) int luaopen_diffusion_mpi(lua_State *L);

/* The public table is made by diffusion.over.ranks, from these calls. */
int luaopen_diffusion_mpi(lua_State *L) {
  luaL_checkversion(L);
  check_core(L);
  if (!comm_join()) return raise(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "diffusion.over.ranks");
  lua_call(L, 1, 1);
  push_calls(L);
  lua_call(L, 1, 1);
  return 1;
}
