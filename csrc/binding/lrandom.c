/* Random tensors for Lua. Numbers come from the state's own counter, from {seed=}, or
** from a generator object with its own counter. */
#include <string.h>

#include "base/torch_rng.h"
#include "binding/binding.h"
#include "kernels/kernels.h"

#define GENERATOR "diffusion.generator"

/* With Philox the key of draw k is (seed, step k), as after d.manual_seed(seed). */
typedef struct generator {
  uint32_t torch; /* 1, or 0: philox */
  uint32_t step;
  uint64_t seed;
  df_torch_rng rng;
} generator;

/* ==== sources ======================================================================= */

/* A trailing {seed=} or {generator=}; without either, the tape's counter. */
typedef struct source {
  generator *generator;
  bool keyed;
  df_random key;
} source;

static df_random user_key(uint64_t seed, df_draw draw, uint32_t step) {
  uint32_t stream = DF_STREAM_USER + (uint32_t)draw;
  return (df_random){ .seed = seed, .stream = stream, .step = step };
}

static source source_at(lua_State *L, int arg, df_draw draw) {
  static const char *const names[] = { "seed", "generator", NULL };
  source s = { .generator = NULL };
  dfl_fields(L, arg, names);
  if (lua_isnoneornil(L, arg)) return s;
  if (lua_getfield(L, arg, "generator") != LUA_TNIL) {
    s.generator = luaL_testudata(L, -1, GENERATOR);
    luaL_argcheck(L, s.generator, arg, "option 'generator': one of d.generator expected");
    s.key = user_key(s.generator->seed, draw, s.generator->step);
    s.keyed = !s.generator->torch;
  }
  if (lua_getfield(L, arg, "seed") != LUA_TNIL) {
    luaL_argcheck(L, !s.generator, arg, "either seed or generator, not both");
    s.key = user_key((uint64_t)dfl_field_int(L, arg, "seed", 0), draw, 0);
    s.keyed = true;
  }
  lua_pop(L, 2);
  return s;
}

static const df_random *key_of(const source *s) { return s->keyed ? &s->key : NULL; }

static df_torch_rng *torch_of(const source *s) {
  return s->generator && s->generator->torch ? &s->generator->rng : NULL;
}

/* Only a draw that succeeded is counted. */
static df_tensor *counted(const source *s, df_tensor *y) {
  if (y && s->generator) s->generator->step++;
  return y;
}

/* ==== functions ===================================================================== */

/* True for a table with names and without list elements. */
static bool is_options(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TTABLE || lua_rawlen(L, arg) > 0) return false;
  lua_pushnil(L);
  if (!lua_next(L, arg)) return false;
  lua_pop(L, 2);
  return true;
}

/* Reads the shape at `arg`; if it is absent, the result is a number. Returns the index of
** the argument after it. */
static int shape_or_none(lua_State *L, int arg, df_shape *shape) {
  *shape = (df_shape){ .ndim = 0 };
  bool none = lua_isnoneornil(L, arg) || is_options(L, arg);
  return none ? arg : dfl_shape(L, arg, shape);
}

typedef df_tensor *philox_draw(df_tape *tape, const df_shape *shape,
                               const df_random *key);
typedef void torch_draw(df_torch_rng *g, df_real *y, df_int n);

typedef struct law {
  df_draw draw;
  philox_draw *philox;
  torch_draw *torch;
} law;

/* True if the option is a list with one generator per sample. It is left on the stack. */
static bool has_list(lua_State *L, int arg) {
  if (!lua_istable(L, arg)) return false;
  if (lua_getfield(L, arg, "generator") == LUA_TTABLE) return true;
  lua_pop(L, 1);
  return false;
}

static generator *listed(lua_State *L, int i) {
  lua_rawgeti(L, -1, i + 1);
  generator *g = luaL_testudata(L, -1, GENERATOR);
  lua_pop(L, 1);
  return g;
}

static void check_list(lua_State *L, int arg, const df_shape *shape) {
  int n = dfl_list(L, -1, arg);
  if (shape->ndim == 0 || shape->size[0] != n)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "a list of %d generators for a batch %s", n,
                                  df_shape_text(shape)));
  for (int i = 0; i < n; i++)
    if (!listed(L, i))
      luaL_argerror(
          L, arg, lua_pushfstring(L, "generator %d: one of d.generator expected", i + 1));
}

/* Draws one sample, as the generator's own randn or rand would. */
static void draw_sample(const law *l, generator *g, df_real *y, df_int n) {
  if (g->torch) {
    l->torch(&g->rng, y, n);
    return;
  }
  df_random key = user_key(g->seed, l->draw, g->step++);
  if (l->draw == DF_DRAW_NORMAL) df_kernel()->normal(y, 0, n, &key);
  else df_kernel()->uniform(y, 0, n, &key);
}

/* Draws sample k from generator k of the list on the stack. */
static df_tensor *by_sample(lua_State *L, df_tape *tape, int arg, const df_shape *shape,
                            const law *l) {
  static const char *const names[] = { "generator", NULL };
  dfl_fields(L, arg, names);
  check_list(L, arg, shape);
  df_tensor *y = df_result(tape, shape);
  if (!y) return NULL;
  df_int samples = shape->size[0], n = samples ? df_tensor_count(y) / samples : 0;
  for (int i = 0; i < samples; i++)
    draw_sample(l, listed(L, i), df_tensor_reals(y) + i * n, n);
  return y;
}

static df_tensor *reals(lua_State *L, df_tape *tape, const law *l) {
  df_shape shape;
  int arg = shape_or_none(L, 1, &shape);
  dfl_at_most(L, arg);
  if (has_list(L, arg)) return by_sample(L, tape, arg, &shape, l);
  source s = source_at(L, arg, l->draw);
  /* cppcheck-suppress returnDanglingLifetime; tensors hold a shape by value */
  if (!torch_of(&s)) return counted(&s, l->philox(tape, &shape, key_of(&s)));
  df_tensor *y = df_result(tape, &shape);
  if (y) l->torch(torch_of(&s), df_tensor_reals(y), df_tensor_count(y));
  return y;
}

static df_tensor *make_randn(lua_State *L, df_tape *tape) {
  static const law normal = { DF_DRAW_NORMAL, df_randn, df_torch_normal };
  return reals(L, tape, &normal);
}

static df_tensor *make_rand(lua_State *L, df_tape *tape) {
  static const law uniform = { DF_DRAW_UNIFORM, df_rand, df_torch_uniform };
  return reals(L, tape, &uniform);
}

static df_tensor *make_bernoulli(lua_State *L, df_tape *tape) {
  df_shape shape;
  double p = luaL_checknumber(L, 1);
  if (!(p >= 0 && p <= 1))
    luaL_argerror(L, 1,
                  lua_pushfstring(L, "a probability in [0, 1] expected, got %s",
                                  dfl_briefly(L, 1)));
  int options = shape_or_none(L, 2, &shape);
  dfl_at_most(L, options);
  source s = source_at(L, options, DF_DRAW_COIN);
  /* cppcheck-suppress returnDanglingLifetime; tensors hold a shape by value */
  if (!torch_of(&s)) return counted(&s, df_bernoulli(tape, &shape, p, key_of(&s)));
  df_tensor *y = df_result(tape, &shape);
  if (y) df_torch_coin(torch_of(&s), df_tensor_reals(y), df_tensor_count(y), p);
  return y;
}

static df_tensor *make_randint(lua_State *L, df_tape *tape) {
  df_shape shape;
  int64_t low = luaL_checkinteger(L, 1), high = luaL_checkinteger(L, 2);
  luaL_argcheck(L, low <= high, 2, "the interval is empty");
  int options = shape_or_none(L, 3, &shape);
  dfl_at_most(L, options);
  source s = source_at(L, options, DF_DRAW_WHOLE);
  if (!torch_of(&s)) return counted(&s, df_randint(tape, &shape, low, high, key_of(&s)));
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_I64, &shape));
  uint64_t range = (uint64_t)high - (uint64_t)low + 1;
  if (y) df_torch_whole(torch_of(&s), df_tensor_data(y), df_tensor_count(y), low, range);
  return y;
}

static df_tensor *make_randperm(lua_State *L, df_tape *tape) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= UINT32_MAX, 1, "a count of 0 or more expected");
  dfl_at_most(L, 2);
  source s = source_at(L, 2, DF_DRAW_ORDER);
  if (!torch_of(&s)) return counted(&s, df_randperm(tape, (df_int)n, key_of(&s)));
  df_shape shape = { 1, { (df_int)n } };
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_I64, &shape));
  if (y) df_torch_permutation(torch_of(&s), df_tensor_data(y), (df_int)n);
  return y;
}

/*** d.randn
** Standard normal numbers. With two or more dimensions, the first counts samples. With a
** seed, sample k has the same bits in any batch.
** @param shape? integer|integer[] sizes, or one list; default: one number
** @param opts? diffusion.draw_options
** @option seed integer (follows d.manual_seed) seed of the numbers
** @option generator diffusion.generator|diffusion.generator[] source of the numbers, in
**   place of a seed; a list has one for each sample, which is drawn as it would be alone
** @return diffusion.tensor */
static int l_randn(lua_State *L) { return dfl_run(L, make_randn); }

/*** d.rand
** Uniform numbers in (0, 1).
** @param shape? integer|integer[] sizes, or one list; default: one number
** @param opts? diffusion.draw_options
** @options_of d.randn
** @return diffusion.tensor */
static int l_rand(lua_State *L) { return dfl_run(L, make_rand); }

/*** d.bernoulli
** 1 with probability p (to 2^-24), else 0. A dropout mask has p = the fraction kept.
** @param p number in [0, 1]
** @param shape? integer|integer[] sizes, or one list; default: one number
** @param opts? diffusion.draw_one_options
** @option seed integer (follows d.manual_seed) seed of the numbers
** @option generator diffusion.generator source of the numbers, in place of a seed
** @return diffusion.tensor elements 1 and 0
** @usage print(d.bernoulli(0.3, 4, { seed = 1 })) */
static int l_bernoulli(lua_State *L) { return dfl_run(L, make_bernoulli); }

/*** d.randint
** Draws uniform integers in low..high, exact to 2^-64 of the size of the interval.
** @param low integer
** @param high integer >= low, inclusive
** @param shape? integer|integer[] sizes, or one list; default: one number
** @param opts? diffusion.draw_one_options
** @options_of d.bernoulli
** @return diffusion.tensor i64 */
static int l_randint(lua_State *L) { return dfl_run(L, make_randint); }

/*** d.randperm
** A random permutation of 1..n.
** @param n integer >= 0
** @param opts? diffusion.draw_one_options
** @options_of d.bernoulli
** @return diffusion.tensor i64 {n} */
static int l_randperm(lua_State *L) { return dfl_run(L, make_randperm); }

/*** d.manual_seed
** Seeds all draws of this Lua state: tensors, first values, data, samples, dropout and
** an objective's t and eps. All counters restart. Metrics, likelihoods, estimate_variance
** and other measures have an option seed = 1 instead, so that two of them agree.
** @param seed integer */
static int l_manual_seed(lua_State *L) {
  df_tape_seed(dfl_tape(L), (uint64_t)luaL_checkinteger(L, 1));
  return 0;
}

/* ==== generators ==================================================================== */

/*** d.generator
** A separate source of random numbers. g:randn, g:rand, g:bernoulli, g:randint and
** g:randperm are like the functions of d; g:state() and g:set_state(text) save and
** restore it. Kind "torch" gives the numbers of PyTorch's CPU generator for the same
** seed. These are the float32 numbers of torch.randn and torch.rand,
** tensor.bernoulli_(p), torch.randint (whose high end is exclusive) and torch.randperm
** (which counts from 0).
** @param opts? diffusion.generator_options
** @option kind "philox"|"torch" ("philox") the algorithm
** @option seed integer (0) seed of the numbers
** @return diffusion.generator */
static int l_generator(lua_State *L) {
  static const char *const names[] = { "kind", "seed", NULL };
  static const char *const kinds[] = { "philox", "torch", NULL };
  dfl_fields(L, 1, names);
  df_int seed = dfl_field_int(L, 1, "seed", 0);
  int kind = dfl_field_option(L, 1, "kind", kinds);
  generator *g = lua_newuserdatauv(L, sizeof *g, 0);
  memset(g, 0, sizeof *g);
  g->torch = (uint32_t)kind, g->seed = (uint64_t)seed;
  df_torch_seed(&g->rng, g->seed);
  luaL_setmetatable(L, GENERATOR);
  return 1;
}

/* g:randn(shape) is d.randn(shape, {generator=g}), and so on. */
static int with_generator(lua_State *L, const char *draw) {
  luaL_checkudata(L, 1, GENERATOR);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "generator");
  lua_getfield(L, LUA_REGISTRYINDEX, "diffusion.core");
  lua_getfield(L, -1, draw); /* called as a function, so arguments count from 1 */
  lua_replace(L, 1);
  lua_pop(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

static int l_generator_randn(lua_State *L) { return with_generator(L, "randn"); }
static int l_generator_rand(lua_State *L) { return with_generator(L, "rand"); }
static int l_generator_bernoulli(lua_State *L) { return with_generator(L, "bernoulli"); }
static int l_generator_randint(lua_State *L) { return with_generator(L, "randint"); }
static int l_generator_randperm(lua_State *L) { return with_generator(L, "randperm"); }

/*** class diffusion.generator
** A source of random numbers with its own counter. Each call returns the next numbers. */

/*** Generator:state
** The state of the generator, for set_state on this machine or one of the same kind.
** @return string */
static int l_state(lua_State *L) {
  const generator *g = luaL_checkudata(L, 1, GENERATOR);
  lua_pushlstring(L, (const char *)g, sizeof *g);
  return 1;
}

/*** Generator:clone
** A second generator that draws the same numbers.
** @return diffusion.generator */
static int l_clone(lua_State *L) {
  const generator *g = luaL_checkudata(L, 1, GENERATOR);
  generator *copy = lua_newuserdatauv(L, sizeof *copy, 0);
  *copy = *g;
  luaL_setmetatable(L, GENERATOR);
  return 1;
}

static const char *kind_of(const generator *g) { return g->torch ? "torch" : "philox"; }

static bool is_sound(const generator *g) {
  return g->torch <= 1 && g->rng.used <= DF_TORCH_WORDS && g->rng.cached <= 1;
}

/*** Generator:set_state
** Continues from a state that state() returned.
** @param text string must be the state of a generator of the same kind
** @return diffusion.generator itself */
static int l_set_state(lua_State *L) {
  generator *g = luaL_checkudata(L, 1, GENERATOR), given;
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  if (size != sizeof given)
    luaL_argerror(L, 2,
                  lua_pushfstring(L, "the state of a generator has %d bytes, got %d",
                                  (int)sizeof given, (int)size));
  memcpy(&given, text, sizeof given);
  luaL_argcheck(L, is_sound(&given), 2, "not the state of a generator");
  if (given.torch != g->torch)
    luaL_argerror(L, 2,
                  lua_pushfstring(L, "the state is a %s generator's, this one is %s",
                                  kind_of(&given), kind_of(g)));
  *g = given;
  lua_settop(L, 1);
  return 1;
}

static int l_tostring(lua_State *L) {
  const generator *g = luaL_checkudata(L, 1, GENERATOR);
  lua_pushfstring(L, "generator{kind=\"%s\", seed=%I}", kind_of(g), (lua_Integer)g->seed);
  return 1;
}

/* ==== raw bits ====================================================================== */

static void words_at(lua_State *L, int arg, uint32_t *word, int n) {
  luaL_checktype(L, arg, LUA_TTABLE);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, arg, i + 1);
    word[i] = (uint32_t)luaL_checkinteger(L, -1);
    lua_pop(L, 1);
  }
}

/* philox({c0, c1, c2, c3}, {k0, k1}) -> four words */
static int l_philox(lua_State *L) {
  uint32_t counter[4], key[2];
  words_at(L, 1, counter, 4);
  words_at(L, 2, key, 2);
  df_words w = df_philox(counter, key);
  for (int i = 0; i < 4; i++) lua_pushinteger(L, w.word[i]);
  return 4;
}

static const luaL_Reg functions[] = {
  { "randn", l_randn },
  { "rand", l_rand },
  { "bernoulli", l_bernoulli },
  { "randint", l_randint },
  { "randperm", l_randperm },
  { "manual_seed", l_manual_seed },
  { "generator", l_generator },
  { "philox", l_philox },
  { NULL, NULL },
};

static const luaL_Reg methods[] = {
  { "randn", l_generator_randn },
  { "rand", l_generator_rand },
  { "bernoulli", l_generator_bernoulli },
  { "randint", l_generator_randint },
  { "randperm", l_generator_randperm },
  { "state", l_state },
  { "set_state", l_set_state },
  { "clone", l_clone },
  { NULL, NULL },
};

static const luaL_Reg meta[] = { { "__tostring", l_tostring }, { NULL, NULL } };

void dfl_open_random(lua_State *L) {
  dfl_functions(L, functions);
  luaL_newmetatable(L, GENERATOR);
  dfl_set_functions(L, meta);
  lua_newtable(L);
  dfl_set_functions(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
