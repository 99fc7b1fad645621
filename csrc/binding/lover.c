/* Batches that are cut into parts, and gradients that are summed over ranks, for Lua.
** lua/diffusion/over/ defines the public interface. */
#include "base/alloc.h"
#include "nn/over.h"

#include "binding/hooks.h"
#include "binding/lmodel.h"
#include "binding/state.h"

#define DFL_OVER "diffusion.core_over"

/* ==== hooks for modules of ranks ==================================================== */

static dfl_memory memory(lua_State *L, int arg, bool writes) {
  df_tensor *x = dfl_tensor(L, arg);
  if (x->form != DF_ROWS || !df_tensor_is_dense(x))
    luaL_argerror(L, arg, "a dense tensor expected; use contiguous()");
  if (writes) df_tensor_touch(x);
  return (dfl_memory){ df_tensor_data(x), df_tensor_count(x),
                       df_dtype_bytes(x->dtype, df_tensor_count(x)),
                       df_dtype_name(x->dtype) };
}

static void set_hooks(lua_State *L) {
  static const dfl_hooks hooks = { DFL_HOOKS_VERSION, memory };
  lua_pushlightuserdata(L, (void *)&hooks);
  lua_setfield(L, LUA_REGISTRYINDEX, DFL_HOOKS);
}

/* ==== sums of gradients ============================================================= */

typedef struct over_box {
  df_over *over;
} over_box;

static df_over *check_over(lua_State *L) {
  const over_box *b = luaL_checkudata(L, 1, DFL_OVER);
  return dfl_living(L, 1, b->over);
}

static int l_gc(lua_State *L) {
  over_box *b = luaL_checkudata(L, 1, DFL_OVER);
  df_over *over = b->over;
  b->over = NULL;
  if (over) over->tape = dfl_context(L)->tape;
  df_over_free(over);
  return 0;
}

static const df_link *check_link(lua_State *L, int arg) {
  luaL_checktype(L, arg, LUA_TLIGHTUSERDATA);
  const df_link *link = lua_touserdata(L, arg);
  if (link->version != DF_LINK_VERSION)
    luaL_error(L,
               "over: diffusion/mpi.so speaks version %d of the link, this core version "
               "%d; build both from one source",
               link->version, DF_LINK_VERSION);
  return link;
}

/* over(list of parameter buffers, link, {bucket = elements, tree =}) */
static int l_over(lua_State *L) {
  const df_link *link = check_link(L, 2);
  const df_plan_opts opts = { .width = (int)sizeof(df_real),
                              .most = dfl_field_int(L, 3, "bucket", 1),
                              .in_tree = dfl_field_flag(L, 3, "tree", true),
                              .alloc = df_alloc,
                              .free = df_free };
  int homes;
  df_home **home = dfl_homes(L, 1, &homes);
  over_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->over = NULL;
  luaL_setmetatable(L, DFL_OVER);
  dfl_collect(L);
  b->over = df_over_new(dfl_tape(L), link, home, homes, &opts);
  return b->over ? 1 : dfl_raise(L);
}

/* over:begin_part(k from 1, n, loss) */
static int l_begin_part(lua_State *L) {
  df_over *o = check_over(L);
  const int k = (int)luaL_checkinteger(L, 2), n = (int)luaL_checkinteger(L, 3);
  df_code code = df_over_begin_part(o, k - 1, n, luaL_checknumber(L, 4));
  return code == DF_OK ? 0 : dfl_raise(L);
}

/* over:begin_together(n, sum of their losses) */
static int l_begin_together(lua_State *L) {
  df_over *o = check_over(L);
  const int n = (int)luaL_checkinteger(L, 2);
  df_code code = df_over_begin_together(o, n, luaL_checknumber(L, 3));
  return code == DF_OK ? 0 : dfl_raise(L);
}

static int l_end_part(lua_State *L) {
  return df_over_end_part(check_over(L)) == DF_OK ? 0 : dfl_raise(L);
}

/* unsummed() -> the name of a parameter that the backward pass has reached, and whose
** gradient isn't summed; or nil */
static int l_unsummed(lua_State *L) {
  lua_pushstring(L, df_over_unsummed(dfl_tape(L)));
  return 1;
}

/* is_open(): false after close(), and once the finaliser has run. A weak table may hold
** it until then. */
static int l_is_open(lua_State *L) {
  const over_box *b = luaL_checkudata(L, 1, DFL_OVER);
  lua_pushboolean(L, b->over != NULL);
  return 1;
}

/* facts() -> the mean loss of the last batch over all ranks, and whether a rank wishes to
** stop */
static int l_facts(lua_State *L) {
  const df_over *o = check_over(L);
  lua_pushnumber(L, o->loss);
  lua_pushboolean(L, o->stopped);
  return 2;
}

/* wish(stop): sent to all ranks with the next batch's gradients */
static int l_wish(lua_State *L) {
  check_over(L)->stop = lua_toboolean(L, 2);
  return 0;
}

/* ==== parts of a batch ============================================================== */

/* swap(a, b): each becomes the other's tensor */
static int l_swap(lua_State *L) {
  dfl_box *a = luaL_checkudata(L, 1, DFL_TENSOR), *b = luaL_checkudata(L, 2, DFL_TENSOR);
  df_tensor *x = a->tensor;
  a->tensor = b->tensor;
  b->tensor = x;
  return 0;
}

/* list_rows(n): lists tensors of n rows or more that are made from now on; 0 ends it */
static int l_list_rows(lua_State *L) {
  dfl_list_rows(L, (df_int)luaL_checkinteger(L, 1));
  return 0;
}

/* listed_rows() -> a table whose keys are the tensors */
static int l_listed_rows(lua_State *L) {
  dfl_push_rows(L);
  return 1;
}

static int l_is_freed(lua_State *L) {
  const dfl_box *b = luaL_checkudata(L, 1, DFL_TENSOR);
  lua_pushboolean(L, !b->tensor);
  return 1;
}

/* first_sample([n]) -> the batch's first sample, as draws count, before n is set */
static int l_first_sample(lua_State *L) {
  df_tape *tape = dfl_tape(L);
  const lua_Integer before = df_tape_first(tape);
  if (!lua_isnoneornil(L, 1)) df_tape_set_first(tape, (uint32_t)luaL_checkinteger(L, 1));
  lua_pushinteger(L, before);
  return 1;
}

/* ==== registration ================================================================== */

static const luaL_Reg methods[] = {
  { "begin_part", l_begin_part },
  { "end_part", l_end_part },
  { "begin_together", l_begin_together },
  { "facts", l_facts },
  { "wish", l_wish },
  { "close", l_gc },
  { "is_open", l_is_open },
  { NULL, NULL },
};

static const luaL_Reg functions[] = {
  { "over", l_over },
  { "swap", l_swap },
  { "unsummed", l_unsummed },
  { "list_rows", l_list_rows },
  { "listed_rows", l_listed_rows },
  { "is_freed", l_is_freed },
  { "first_sample", l_first_sample },
  { NULL, NULL },
};

void dfl_open_over(lua_State *L) {
  set_hooks(L);
  dfl_functions(L, functions);
  dfl_new_type(L, DFL_OVER, l_gc, NULL, methods);
}
