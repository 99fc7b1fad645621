/* The process: threads, kernels, precision, memory, clock and profile. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/kept.h"
#include "base/pool.h"
#include "binding/binding.h"
#include "engine/conv.h"
#include "kernels/kernels.h"
#include "ops/profile.h"
#include "ops/watch.h"

/*** d.threads
** Returns the number of threads, and sets it. Results do not depend on it, to the bit.
** The default is DIFFUSION_THREADS, or the number of CPUs that this process may use.
** @param n? integer 1 to 256
** @return integer */
static int l_threads(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) {
    lua_Integer n = luaL_checkinteger(L, 1);
    if (n < 1 || n > 256)
      luaL_argerror(L, 1, lua_pushfstring(L, "1 to 256 threads, got %I", n));
    df_threads_set((int)n);
  }
  lua_pushinteger(L, df_threads());
  return 1;
}

/*** d.precision
** Returns the precision of matrix products and convolutions, and sets it.
** @param name? string "highest" (float32), "high" (relative error at most 1e-5, the
**   default) or "medium" (operands rounded to bf16, added in float32)
** @return string */
static int l_precision(lua_State *L) {
  static const char *const names[] = { "highest", "high", "medium", NULL };
  df_tape *tape = dfl_tape(L);
  if (!lua_isnoneornil(L, 1)) {
    const char *wanted = luaL_checkstring(L, 1);
    int i = 0;
    while (names[i] && strcmp(wanted, names[i]) != 0) i++;
    if (!names[i])
      luaL_argerror(L, 1,
                    lua_pushfstring(L, "no '%s'; there are highest, high, medium",
                                    dfl_printable(L, 1, false)));
    df_tape_set_precision(tape, (df_precision)i);
  }
  lua_pushstring(L, names[df_tape_precision(tape)]);
  return 1;
}

/* isa([name]) -> the table in use, and a list of the tables of this machine */
static int l_isa(lua_State *L) {
  if (!lua_isnoneornil(L, 1) && df_kernels_choose(luaL_checkstring(L, 1)) != DF_OK)
    return dfl_raise(L);
  lua_pushstring(L, df_kernel()->name);
  lua_newtable(L);
  const char *const *names = df_kernels_names();
  for (int i = 0; names[i]; i++) {
    lua_pushstring(L, names[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 2;
}

/* algorithm([name]) -> the algorithm that convolutions must use if they can, or nil, and
** a list of all; "best" clears it */
static int l_algorithm(lua_State *L) {
  const char *wanted = luaL_optstring(L, 1, NULL);
  bool best = wanted && strcmp(wanted, "best") == 0;
  if (wanted && df_conv_force(best ? NULL : wanted) != DF_OK) return dfl_raise(L);
  lua_pushstring(L, df_conv_forced());
  lua_newtable(L);
  const char *const *names = df_conv_names();
  for (int i = 0; names[i]; i++) {
    lua_pushstring(L, names[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 2;
}

static void set_number(lua_State *L, const char *name, size_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static int l_memory(lua_State *L) {
  df_memory m = df_memory_now();
  df_kept_account packs = df_kept_now();
  lua_createtable(L, 0, 8);
  set_number(L, "live", m.live);
  set_number(L, "peak", m.peak);
  set_number(L, "pooled", m.pooled);
  set_number(L, "limit", m.limit);
  set_number(L, "blocks", m.blocks);
  set_number(L, "fresh", m.fresh);
  set_number(L, "packs", packs.bytes);
  set_number(L, "pack_budget", packs.budget);
  return 1;
}

/*** d.memory_limit
** Sets an upper limit for the memory of tensors. Above it packed weights are dropped
** first. Then an op collects garbage and retries once, then raises an error. A training
** step that fails this way can be repeated. Weights are as before the step, and gradients
** are dropped.
** @param bytes integer 0: no limit */
static int l_memory_limit(lua_State *L) {
  lua_Integer bytes = luaL_checkinteger(L, 1);
  luaL_argcheck(L, bytes >= 0, 1, "bytes can't be negative");
  df_memory_limit((size_t)bytes);
  return 0;
}

/*** d.pack_budget
** Returns the budget of packed weights in bytes, and sets it. Kernels read weights in a
** layout of their own. Packed weights that are not being trained are kept while the
** budget has room. Others are packed again in each product, with the same results in less
** memory. The default is 45 % of the bytes that models read from files in place, and at
** least 256 MiB. It doesn't count bytes of a pack for which as many bytes of such a file
** leave the memory.
** @param bytes? integer|string 0: keep none; "default"
** @return integer */
static int l_pack_budget(lua_State *L) {
  bool default_again =
      lua_type(L, 1) == LUA_TSTRING && strcmp(lua_tostring(L, 1), "default") == 0;
  if (default_again) {
    df_kept_set_budget(-1);
  } else if (!lua_isnoneornil(L, 1)) {
    lua_Integer bytes = luaL_checkinteger(L, 1);
    luaL_argcheck(L, bytes >= 0, 1, "bytes can't be negative");
    df_kept_set_budget((df_int)bytes);
  }
  lua_pushinteger(L, (lua_Integer)df_kept_now().budget);
  return 1;
}

static int l_memory_reset_peak(lua_State *L) {
  (void)L;
  df_memory_reset_peak();
  return 0;
}

/* Counters of the pool: regions, and those in which a second thread took part. */
static int l_pool(lua_State *L) {
  df_pool_counts c = df_pool_counted();
  lua_createtable(L, 0, 2);
  set_number(L, "regions", (size_t)c.regions);
  set_number(L, "split", (size_t)c.split);
  return 1;
}

static int l_clock(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
  return 1;
}

static int l_isatty(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* columns(fd) -> the width of the terminal on a descriptor, or nil. */
static int l_columns(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
#ifdef TIOCGWINSZ
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    lua_pushinteger(L, size.ws_col);
    return 1;
  }
#endif
  (void)fd;
  lua_pushnil(L);
  return 1;
}

/* ==== random counters, for checkpoints ============================================== */

/* A seed for other streams, drawn from the state's own stream; each call gives
** another. */
static int l_random_seed(lua_State *L) {
  df_random key = df_tape_draw(dfl_tape(L), DF_STREAM_USER);
  key.sample = 0; /* in a part of a batch too: all parts get one seed */
  df_words w = df_random_block(&key, 0);
  lua_pushinteger(L, (lua_Integer)((uint64_t)w.word[0] << 32 | w.word[1]));
  return 1;
}

static int l_random_state(lua_State *L) {
  df_tape *tape = dfl_tape(L);
  lua_createtable(L, DF_STREAMS + 1, 0);
  lua_pushinteger(L, (lua_Integer)df_tape_seeded(tape));
  lua_rawseti(L, -2, 1);
  for (int i = 0; i < DF_STREAMS; i++) {
    lua_pushinteger(L, df_tape_drawn(tape, (df_stream)i));
    lua_rawseti(L, -2, i + 2);
  }
  return 1;
}

static int l_set_random_state(lua_State *L) {
  df_tape *tape = dfl_tape(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  for (int i = 0; i <= DF_STREAMS; i++) {
    int whole;
    lua_rawgeti(L, 1, i + 1);
    lua_Integer v = lua_tointegerx(L, -1, &whole);
    if (!whole || (i > 0 && (v < 0 || v > UINT32_MAX)))
      luaL_argerror(
          L, 1,
          lua_pushfstring(L, "a seed and %d counters of 32 bits expected", DF_STREAMS));
    if (i == 0) df_tape_seed(tape, (uint64_t)v);
    else df_tape_set_drawn(tape, (df_stream)(i - 1), (uint32_t)v);
    lua_pop(L, 1);
  }
  return 0;
}

/* ==== watch ========================================================================= */

static int l_watch_start(lua_State *L) {
  df_watch_start(dfl_tape(L));
  return 0;
}

/* -> the op whose result was not finite, and the last parameter used before it */
static int l_watch_stop(lua_State *L) {
  df_tensor *parameter;
  const char *nonfinite_op = df_watch_stop(dfl_tape(L), &parameter);
  if (parameter && !df_scope_own(dfl_tape(L), parameter)) return dfl_raise(L);
  lua_pushstring(L, nonfinite_op);
  if (!parameter) return 1;
  dfl_push(L, parameter);
  return 2;
}

/* nonfinite_samples(x {B,...}) -> number of samples that contain a non-finite value */
static int l_nonfinite_samples(lua_State *L) {
  const df_tensor *x = dfl_tensor(L, 1);
  if (x->dtype != DF_REAL || x->form != DF_ROWS || !df_tensor_is_dense(x))
    luaL_argerror(L, 1, "dense samples expected");
  lua_pushinteger(L, df_nonfinite_samples(x));
  return 1;
}

/* True if both are the same elements of the same memory. */
static int l_same_tensor(lua_State *L) {
  const df_tensor *a = dfl_tensor(L, 1), *b = dfl_tensor(L, 2);
  lua_pushboolean(L, a->storage == b->storage && a->offset == b->offset
                         && df_shape_equal(&a->shape, &b->shape));
  return 1;
}

/* ==== profile ======================================================================= */

static int l_profile_start(lua_State *L) {
  df_profile_start(dfl_tape(L));
  return 0;
}

/* -> list of {name, backward, seconds, calls, kept} */
static int l_profile_stop(lua_State *L) {
  const df_profile_row *rows;
  int n = df_profile_stop(dfl_tape(L), &rows);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_createtable(L, 0, 5);
    lua_pushstring(L, rows[i].name);
    lua_setfield(L, -2, "name");
    lua_pushboolean(L, rows[i].backward);
    lua_setfield(L, -2, "backward");
    lua_pushnumber(L, rows[i].seconds);
    lua_setfield(L, -2, "seconds");
    lua_pushinteger(L, rows[i].calls);
    lua_setfield(L, -2, "calls");
    set_number(L, "kept", rows[i].kept);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static const luaL_Reg functions[] = {
  { "threads", l_threads },
  { "precision", l_precision },
  { "algorithm", l_algorithm },
  { "isa", l_isa },
  { "memory", l_memory },
  { "memory_limit", l_memory_limit },
  { "pack_budget", l_pack_budget },
  { "memory_reset_peak", l_memory_reset_peak },
  { "pool", l_pool },
  { "clock", l_clock },
  { "isatty", l_isatty },
  { "columns", l_columns },
  { "random_seed", l_random_seed },
  { "random_state", l_random_state },
  { "set_random_state", l_set_random_state },
  { "watch_start", l_watch_start },
  { "watch_stop", l_watch_stop },
  { "nonfinite_samples", l_nonfinite_samples },
  { "same_tensor", l_same_tensor },
  { "profile_start", l_profile_start },
  { "profile_stop", l_profile_stop },
  { NULL, NULL },
};

/* core.streams: the streams that Lua names when it draws from a seed of its own. */
static void set_streams(lua_State *L) {
  static const struct {
    const char *name;
    df_stream stream;
  } rows[] = { { "start", DF_STREAM_START },
               { "step", DF_STREAM_SAMPLER },
               { "likelihood", DF_STREAM_LIKELIHOOD } };
  lua_getfield(L, LUA_REGISTRYINDEX, DFL_CORE);
  lua_newtable(L);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    lua_pushinteger(L, rows[i].stream);
    lua_setfield(L, -2, rows[i].name);
  }
  lua_setfield(L, -2, "streams");
  lua_pop(L, 1);
}

void dfl_open_runtime(lua_State *L) {
  dfl_functions(L, functions);
  set_streams(L);
}
