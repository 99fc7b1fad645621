/* d.mix(c1, x1, c2, x2, ...): coefficients are numbers, or lists or tensors of one per
** sample. */
#include "binding/binding.h"

/* Pairs of coefficient and tensor from argument `first` on. */
static int read_terms(lua_State *L, int first, df_term *term) {
  int n = lua_gettop(L) - first + 1, terms = n / 2;
  if (n < 2 || n % 2)
    luaL_error(L, "mix: pairs of coefficient and tensor expected, got %d arguments", n);
  if (terms > DF_TERMS_MAX)
    luaL_error(L, "mix: at most %d terms, got %d", DF_TERMS_MAX, terms);
  luaL_checkstack(L, terms, NULL);
  for (int i = 0; i < terms; i++) {
    term[i].x = dfl_tensor(L, first + 2 * i + 1);
    term[i].c = dfl_doubles(L, first + 2 * i, &term[i].n);
  }
  return terms;
}

/*** d.mix
** c1 x1 + c2 x2 + ... in one pass: noising, posteriors, guidance and sampler updates.
** @param c1 number|number[]|diffusion.tensor one, or one a sample {B}; computed in double
** @param x1 diffusion.tensor {B,...}
** @param ... any more pairs, at most 16 in all, x of the same shape
** @return diffusion.tensor like x1
** @usage print(d.mix(0.6, d.ones(2, 2), 0.8, d.randn(2, 2))) */
static df_tensor *run_mix(lua_State *L, df_tape *tape) {
  df_term term[DF_TERMS_MAX];
  int terms = read_terms(L, 1, term);
  return df_mix(tape, term, terms, NULL);
}

/* mix_noise(c, seed, stream, step, c1, x1, ...): with c z, z keyed by all four and the
** place of the sample in the batch */
static df_tensor *run_mix_noise(lua_State *L, df_tape *tape) {
  df_term term[DF_TERMS_MAX];
  df_noise noise = { .eps = NULL };
  noise.key.seed = (uint64_t)luaL_checkinteger(L, 2);
  noise.key.stream = (uint32_t)luaL_checkinteger(L, 3);
  noise.key.step = (uint32_t)luaL_checkinteger(L, 4);
  int terms = read_terms(L, 5, term);
  noise.c = dfl_doubles(L, 1, &noise.n);
  return df_mix(tape, term, terms, &noise);
}

static int l_mix_noise(lua_State *L) { return dfl_run(L, run_mix_noise); }

static const luaL_Reg functions[] = {
  { "mix_noise", l_mix_noise },
  { NULL, NULL },
};

static const dfl_op rows[] = {
  { "mix", run_mix,
    "2, x{3,4}; 0.5, x{2,3,2}, -2, x{2,3,2}; {1,2,3}, x{3,2}, 0.3, x{3,2}, {0,1,-1}, "
    "x{3,2}" },
  { NULL, NULL, NULL },
};

void dfl_open_mix(lua_State *L) {
  dfl_ops(L, rows);
  dfl_functions(L, functions);
}
