/* Random numbers for data sets: the order of an epoch, its flips, and the points of toy
** sets. Each is a pure function of a seed and a position, so a run can resume. */
#include "binding/binding.h"

/* The key of an epoch's order (kind 0), flips (1), corners (2), order of batches (3). */
static df_random epoch_key(lua_State *L, uint32_t kind) {
  return (df_random){ .seed = (uint64_t)luaL_checkinteger(L, 2),
                      .stream = DF_STREAM_DATA,
                      .sample = kind,
                      .step = (uint32_t)luaL_checkinteger(L, 3) };
}

/* data_order(n, seed, epoch [, of_batches]) -> i64 n: 1..n shuffled; the order of an
** epoch's examples, or of its batches */
static df_tensor *make_order(lua_State *L, df_tape *tape) {
  df_random key = epoch_key(L, lua_toboolean(L, 4) ? 3 : 0);
  return df_randperm(tape, (df_int)luaL_checkinteger(L, 1), &key);
}

static int l_order(lua_State *L) { return dfl_run(L, make_order); }

/* data_flips(n, seed, epoch) -> u8 n: 1 with probability 1/2 */
static df_tensor *make_flips(lua_State *L, df_tape *tape) {
  df_random key = epoch_key(L, 1);
  df_shape shape = { 1, { (df_int)luaL_checkinteger(L, 1) } };
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_U8, &shape));
  if (!y) return NULL;
  uint8_t *flip = df_tensor_data(y);
  for (df_int i = 0; i < shape.size[0]; i++)
    flip[i] = (uint8_t)(df_random_block(&key, (uint32_t)(i / 4)).word[i % 4] >> 31);
  return y;
}

static int l_flips(lua_State *L) { return dfl_run(L, make_flips); }

/* data_corners(n, seed, epoch) -> reals n, 2 in [0, 1): where crops lie */
static df_tensor *make_corners(lua_State *L, df_tape *tape) {
  df_random key = epoch_key(L, 2);
  df_shape shape = { 2, { (df_int)luaL_checkinteger(L, 1), 2 } };
  return df_rand(tape, &shape, &key);
}

static int l_corners(lua_State *L) { return dfl_run(L, make_corners); }

/* Key for data_uniform and data_normal(n, k, seed) -> reals n, k. Toy sets use these;
** point i is a function of (seed, i). */
static df_random point_key(lua_State *L, uint32_t kind) {
  return (df_random){ .seed = (uint64_t)luaL_checkinteger(L, 3),
                      .stream = DF_STREAM_DATA,
                      .step = UINT32_MAX - kind }; /* no epoch */
}

static df_shape point_shape(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1), k = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0 && n < INT32_MAX, 1, "a number of points expected");
  luaL_argcheck(L, k >= 0 && k < 16, 2, "a few coordinates expected");
  return (df_shape){ 2, { (df_int)n, (df_int)k } };
}

static df_tensor *make_uniform(lua_State *L, df_tape *tape) {
  df_random key = point_key(L, 0);
  df_shape shape = point_shape(L);
  return df_rand(tape, &shape, &key);
}

static int l_uniform(lua_State *L) { return dfl_run(L, make_uniform); }

static df_tensor *make_normal(lua_State *L, df_tape *tape) {
  df_random key = point_key(L, 1);
  df_shape shape = point_shape(L);
  return df_randn(tape, &shape, &key);
}

static int l_normal(lua_State *L) { return dfl_run(L, make_normal); }

/* data_seed() -> a seed from the state's own stream, for sets without one */
static int l_seed(lua_State *L) {
  df_random key = df_tape_draw(dfl_tape(L), DF_STREAM_DATA);
  key.sample = UINT32_MAX;
  df_words w = df_random_block(&key, 0);
  lua_pushinteger(L, (lua_Integer)(((uint64_t)w.word[0] << 32 | w.word[1]) >> 1));
  return 1;
}

static const luaL_Reg functions[] = {
  { "data_order", l_order },
  { "data_flips", l_flips },
  { "data_uniform", l_uniform },
  { "data_normal", l_normal },
  { "data_seed", l_seed },
  { "data_corners", l_corners },
  { NULL, NULL },
};

void dfl_open_data(lua_State *L) { dfl_functions(L, functions); }
