/* d.mix(c1, x1, c2, x2, ...). Coefficients are numbers, or lists or tensors with one
** number per sample. */
#include "binding/binding.h"

/* Reads pairs of coefficient and tensor from argument `first` on. */
static int read_terms(lua_State *L, int first, df_term *term) {
  int n = lua_gettop(L) - first + 1, terms = n / 2;
  if (n < 2 || n % 2)
    luaL_error(L, "mix: pairs of coefficient and tensor expected, got %d arguments", n);
  if (terms > DF_TERMS_MAX)
    luaL_error(L, "mix: at most %d terms, got %d", DF_TERMS_MAX, terms);
  luaL_checkstack(L, terms + LUA_MINSTACK, NULL);
  for (int i = 0; i < terms; i++) {
    term[i].x = dfl_floats(L, first + 2 * i + 1);
    term[i].c = dfl_doubles(L, first + 2 * i, &term[i].n);
  }
  return terms;
}

/*** d.mix
** c1 x1 + c2 x2 + ... in one pass. Noising, posteriors, guidance and sampler updates use
** it.
** @param c1 number|number[]|diffusion.tensor one number, or one per sample {B}; computed
**   in double
** @param x1 diffusion.tensor {B,...}
** @param ... any more pairs, at most 16 in all; each x has the same shape
** @return diffusion.tensor like x1
** @usage print(d.mix(0.6, d.ones(2, 2), 0.8, d.randn(2, 2))) */
static df_tensor *run_mix(lua_State *L, df_tape *tape) {
  df_term term[DF_TERMS_MAX];
  int terms = read_terms(L, 1, term);
  return df_mix(tape, term, terms, NULL);
}

/* mix_noise(c, seed, stream, step, c1, x1, ...): adds c z. z is a function of seed,
** stream, step and the position of the sample in the batch, or in the larger batch that
** it belongs to. */
static df_tensor *run_mix_noise(lua_State *L, df_tape *tape) {
  df_term term[DF_TERMS_MAX];
  df_noise noise = { .eps = NULL };
  noise.key.seed = (uint64_t)luaL_checkinteger(L, 2);
  noise.key.stream = (uint32_t)luaL_checkinteger(L, 3);
  noise.key.step = (uint32_t)luaL_checkinteger(L, 4);
  noise.key.sample = df_tape_first(tape);
  int terms = read_terms(L, 5, term);
  noise.c = dfl_doubles(L, 1, &noise.n);
  return df_mix(tape, term, terms, &noise);
}

static int l_mix_noise(lua_State *L) { return dfl_run(L, run_mix_noise); }

/* Reads one draw for each of n coefficients, in a userdata left on the stack. */
static const uint32_t *read_draws(lua_State *L, int arg, df_int n) {
  luaL_checktype(L, arg, LUA_TTABLE);
  df_int draws = dfl_list(L, arg, arg);
  uint32_t *step = lua_newuserdatauv(L, (size_t)n * sizeof *step + 1, 0);
  if (draws != n)
    luaL_error(L, "mix_normals: %d coefficients for %d draws", (int)n, (int)draws);
  for (df_int j = 0; j < n; j++) {
    int whole;
    lua_rawgeti(L, arg, j + 1);
    lua_Integer draw = lua_tointegerx(L, -1, &whole);
    if (!whole || draw < 0 || draw > UINT32_MAX)
      luaL_error(L,
                 "mix_normals: draw %d is %s; a whole number in 0..4294967295 expected",
                 (int)j + 1, dfl_briefly(L, -1));
    step[j] = (uint32_t)draw;
    lua_pop(L, 1);
  }
  return step;
}

/* mix_normals({c, ...}, seed, stream, {draw, ...}, c1, x1, ...): adds the sum of c z.
** Each z is that of mix_noise(1, seed, stream, draw, ...). The lists have equal lengths,
** at most 64, and apply to all samples; c1, c2, ... are as in mix. */
static df_tensor *run_mix_normals(lua_State *L, df_tape *tape) {
  df_term term[DF_TERMS_MAX];
  df_normals normals = { .c = NULL };
  normals.key.seed = (uint64_t)luaL_checkinteger(L, 2);
  normals.key.stream = (uint32_t)luaL_checkinteger(L, 3);
  normals.key.sample = df_tape_first(tape);
  int terms = read_terms(L, 5, term);
  luaL_checktype(L, 1, LUA_TTABLE);
  normals.c = dfl_doubles(L, 1, &normals.n);
  normals.step = read_draws(L, 4, normals.n);
  return df_mix_normals(tape, term, terms, &normals);
}

static int l_mix_normals(lua_State *L) { return dfl_run(L, run_mix_normals); }

static const luaL_Reg functions[] = {
  { "mix_noise", l_mix_noise },
  { "mix_normals", l_mix_normals },
  { NULL, NULL },
};

static const dfl_op rows[] = {
  { "mix", run_mix, DFL_ANY,
    "2, x{3,4}; 0.5, x{2,3,2}, -2, x{2,3,2}; {1,2,3}, x{3,2}, 0.3, x{3,2}, {0,1,-1}, "
    "x{3,2}" },
  { NULL, NULL, 0, NULL },
};

void dfl_open_mix(lua_State *L) {
  dfl_plain_ops(L, rows);
  dfl_functions(L, functions);
}
