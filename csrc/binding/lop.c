/* Ops of layers and objectives. It also defines d.linalg. */
#include "binding/binding.h"

/* ==== along a dimension ============================================================= */

/*** Tensor:softmax
** e^x_i / sum_j e^x_j along a dimension. A row of -inf gives zeros with gradient 0.
** @param dim integer from 1, or from -1 for the last
** @return diffusion.tensor with the shape of x */
static df_tensor *run_softmax(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_softmax(tape, x, dfl_dim(L, 2, x));
}

/*** Tensor:log_softmax
** x_i - ln sum_j e^x_j along a dimension. A row of -inf gives -inf with gradient 0.
** @param dim integer from 1, or from -1 for the last
** @return diffusion.tensor with the shape of x */
static df_tensor *run_log_softmax(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_log_softmax(tape, x, dfl_dim(L, 2, x));
}

/* ==== norms ========================================================================= */

/*** Tensor:group_norm
** (x - m) / sqrt(s2 + epsilon) w + b, with mean m and variance s2 over each group of
** channels of an image (Wu & He 2018). silu and dropout are optional and run in the same
** pass.
** @param w? diffusion.tensor {C}
** @param b? diffusion.tensor {C}
** @param opts diffusion.group_norm_options
** @option groups integer (required; >= 1) number of groups, which divides C
** @option epsilon number (1e-5; > 0) added to the variance
** @option silu boolean (false) the same as act = "silu"
** @option act "none"|"silu"|"relu"|"gelu"|"mish"|"tanh" ("none") activation of the result
** @option dropout number (0; [0, 1)) probability that an element is set to 0
** @option add diffusion.tensor {B,C}, added to each pixel of x
** @option modulate diffusion.tensor {B,2 C}: s, then t of the result (1 + s) + t
** @return diffusion.tensor {B,...,C} as x */
static df_tensor *run_group_norm(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "groups",   "epsilon",     "silu",
                                       "act",      "dropout",     "add",
                                       "modulate", "eps=epsilon", NULL };
  df_tensor *x = dfl_tensor(L, 1), *w = dfl_tensor_or_nil(L, 2);
  df_tensor *b = dfl_tensor_or_nil(L, 3);
  luaL_checktype(L, 4, LUA_TTABLE);
  dfl_fields(L, 4, names);
  df_norm_opts opts = { .groups = dfl_field_int(L, 4, "groups", 0), .form = DF_ROWS };
  opts.tiny = dfl_field_number(L, 4, "epsilon", 1e-5);
  const bool silu = dfl_field_flag(L, 4, "silu", false);
  opts.keep = 1 - dfl_field_number(L, 4, "dropout", 0);
  lua_settop(L, 4);
  lua_getfield(L, 4, "act");
  opts.act = (df_act)dfl_option(L, 5, silu ? "silu" : "none", df_act_names);
  lua_getfield(L, 4, "add");
  lua_getfield(L, 4, "modulate");
  const df_normed of = { x, dfl_tensor_or_nil(L, 6), dfl_tensor_or_nil(L, 7), w, b };
  return df_group_norm(tape, &of, &opts);
}

/*** Tensor:layer_norm
** (x - m) / sqrt(s2 + epsilon) w + b, with mean m and variance s2 over the last dimension
** (Ba et al. 2016).
** @param w? diffusion.tensor {C}
** @param b? diffusion.tensor {C}
** @param opts? diffusion.layer_norm_options
** @option epsilon number (1e-5; > 0) added to the variance
** @return diffusion.tensor {...,C} as x */
static df_tensor *run_layer_norm(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "epsilon", "eps=epsilon", NULL };
  df_tensor *x = dfl_tensor(L, 1), *w = dfl_tensor_or_nil(L, 2);
  df_tensor *b = dfl_tensor_or_nil(L, 3);
  dfl_fields(L, 4, names);
  return df_layer_norm(tape, x, w, b, dfl_field_number(L, 4, "epsilon", 1e-5));
}

/*** Tensor:rms_norm
** x / sqrt(m + epsilon) w, with m the mean of squares over the last dimension (Zhang &
** Sennrich 2019).
** @param w? diffusion.tensor {C}
** @param opts? diffusion.rms_norm_options
** @option epsilon number (1e-6; > 0) added to the mean of squares
** @return diffusion.tensor {...,C} as x */
static df_tensor *run_rms_norm(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "epsilon", "eps=epsilon", NULL };
  df_tensor *x = dfl_tensor(L, 1), *w = dfl_tensor_or_nil(L, 2);
  dfl_fields(L, 3, names);
  return df_rms_norm(tape, x, w, dfl_field_number(L, 3, "epsilon", 1e-6));
}

/*** Tensor:geglu
** a gelu(b), where a and b are the halves of the last dimension (Shazeer 2020). The gate
** is the second half, as in diffusers' GEGLU.
** @return diffusion.tensor {...,C} of x {...,2 C}
** @usage print(d.tensor{{1, 2, 0, 1}}:geglu()) */
static df_tensor *run_geglu(lua_State *L, df_tape *tape) {
  return df_geglu(tape, dfl_tensor(L, 1));
}

/*** Tensor:dropout
** x / (1 - p) for kept elements, 0 for dropped ones (Srivastava et al. 2014).
** @param p number the fraction that is dropped, in [0, 1)
** @return diffusion.tensor with the shape of x */
static df_tensor *run_dropout(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_dropout(tape, x, 1 - luaL_checknumber(L, 2));
}

/* ==== embeddings of integers and times ============================================== */

/*** Tensor:embedding
** Rows of a table: y[i] = w[x[i]], and zeros if x[i] is 0 (no class).
** @param w diffusion.tensor {n,D}
** @return diffusion.tensor with the shape of x and D; x holds integers in 0..n */
static df_tensor *run_embedding(lua_State *L, df_tape *tape) {
  df_tensor *index = dfl_whole(L, tape, 1, "embedding: index");
  return df_embedding(tape, index, dfl_tensor(L, 2));
}

/*** Tensor:sinusoid
** cos and sin of t times width/2 frequencies max_period^(-k / (width/2 - shift)). No
** gradient.
** @param opts diffusion.sinusoid_options
** @option width integer (required; >= 1) width of the result, which ends in 0 if it is
**   odd
** @option max_period number (10000; > 0) the longest period over 2 pi
** @option shift number (0) in the frequencies: 0 in ADM, 1 in DDPM
** @option offset number (0) subtracted from t first
** @option sin_first boolean (false) the sines come first
** @option single boolean (false) rounds frequencies and angles to f32, as PyTorch does
** @return diffusion.tensor {B,width} of t {B} */
static df_tensor *run_sinusoid(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "width",     "max_period", "shift", "offset",
                                       "sin_first", "single",     NULL };
  df_tensor *t = dfl_double(L, tape, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  dfl_fields(L, 2, names);
  df_sinusoid_opts opts = { .width = dfl_field_int(L, 2, "width", 0) };
  opts.max_period = dfl_field_number(L, 2, "max_period", 10000);
  opts.shift = dfl_field_number(L, 2, "shift", 0);
  opts.offset = dfl_field_number(L, 2, "offset", 0);
  opts.sin_first = dfl_field_flag(L, 2, "sin_first", false);
  opts.single = dfl_field_flag(L, 2, "single", false);
  return df_sinusoid(tape, t, &opts);
}

/*** Tensor:fourier
** sin and cos of 2 pi w t (Song et al. 2021, appendix C). No gradient.
** @param w diffusion.tensor {C} frequencies
** @param opts? diffusion.fourier_options
** @option offset number (0) subtracted from t first
** @option log boolean (false) takes ln t instead of t
** @option cos_first boolean (false) the cosines come first
** @return diffusion.tensor {B,2 C} of t {B} */
static df_tensor *run_fourier(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "offset", "log", "cos_first", NULL };
  df_tensor *t = dfl_double(L, tape, 1), *w = dfl_tensor(L, 2);
  dfl_fields(L, 3, names);
  const df_fourier_opts opts = { dfl_field_number(L, 3, "offset", 0),
                                 dfl_field_flag(L, 3, "log", false),
                                 !dfl_field_flag(L, 3, "cos_first", false) };
  return df_fourier(tape, t, w, &opts);
}

/* ==== resampling ==================================================================== */

/*** Tensor:upsample
** Repeats each pixel `times` times in both directions (nearest neighbours).
** @param times? integer 2
** @return diffusion.tensor {B,times H,times W,C} of x {B,H,W,C} */
static df_tensor *run_upsample(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_upsample(tape, x, (df_int)luaL_optinteger(L, 2, 2));
}

/*** Tensor:avg_pool
** The mean of each times x times block of pixels. H and W must be multiples of times.
** @param times? integer 2
** @return diffusion.tensor {B,H/times,W/times,C} of x {B,H,W,C} */
static df_tensor *run_avg_pool(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_avg_pool(tape, x, (df_int)luaL_optinteger(L, 2, 2));
}

/* The list of numbers in field "taps". */
static void read_taps(lua_State *L, int arg, df_fir_opts *o) {
  lua_getfield(L, arg, "taps");
  luaL_argcheck(L, lua_istable(L, -1), arg, "option 'taps': a list of numbers expected");
  o->taps = (int)lua_rawlen(L, -1);
  for (int i = 0; i < o->taps && i < DF_FIR_TAPS; i++) {
    lua_rawgeti(L, -1, i + 1);
    luaL_argcheck(L, lua_type(L, -1) == LUA_TNUMBER, arg,
                  "option 'taps': a list of numbers expected");
    o->tap[i] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/*** Tensor:fir
** The rows and columns of an image are filtered and resampled (Karras et al. 2020).
** @param opts diffusion.fir_options
** @option taps number[] (required) the filter: 1 to 8 numbers
** @option up integer (1; >= 1) up - 1 zeros are put behind each pixel first
** @option down integer (1; >= 1) every so many sums are taken
** @option before integer (0) zeros in front of each line; below 0: so many are cut off
** @option after integer (0) zeros behind each line
** @option reflect boolean (false) mirrored pixels instead of these zeros
** @return diffusion.tensor {B,H',W',C}; H' is (up H + before + after - taps) // down
**   + 1 */
static df_tensor *run_fir(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "taps",  "up",      "down", "before",
                                       "after", "reflect", NULL };
  df_tensor *x = dfl_tensor(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  dfl_fields(L, 2, names);
  df_fir_opts opts = { dfl_field_int(L, 2, "up", 1),
                       dfl_field_int(L, 2, "down", 1),
                       dfl_field_int(L, 2, "before", 0),
                       dfl_field_int(L, 2, "after", 0),
                       dfl_field_flag(L, 2, "reflect", false),
                       0,
                       { 0 } };
  read_taps(L, 2, &opts);
  return df_fir(tape, x, &opts);
}

/* ==== losses: (a, b [, "sample"]) =================================================== */

static bool per_sample(lua_State *L, int arg) {
  static const char *const over[] = { "mean", "sample", NULL };
  return dfl_option(L, arg, "mean", over) == 1;
}

/*** d.mse
** The mean of (a - b)^2.
** @param a diffusion.tensor
** @param b diffusion.tensor the same shape
** @param over? string "sample" for one mean per sample (the first dimension)
** @return diffusion.tensor a number, or {B} */
static df_tensor *run_mse(lua_State *L, df_tape *tape) {
  bool each = per_sample(L, 3);
  df_tensor *a = dfl_operand(L, tape, 1);
  return df_mse(tape, a, dfl_operand(L, tape, 2), each);
}

/*** d.l1
** The mean of |a - b|.
** @param a diffusion.tensor
** @param b diffusion.tensor the same shape
** @param over? string "sample" for one mean per sample
** @return diffusion.tensor a number, or {B} */
static df_tensor *run_l1(lua_State *L, df_tape *tape) {
  bool each = per_sample(L, 3);
  df_tensor *a = dfl_operand(L, tape, 1);
  return df_l1(tape, a, dfl_operand(L, tape, 2), each);
}

/*** d.huber
** The mean of the Huber loss (Huber 1964) of e = a - b: e^2/2 if |e| <= delta, else delta
** (|e| - delta/2).
** @param a diffusion.tensor
** @param b diffusion.tensor the same shape
** @param over? string "sample" for one mean per sample
** @param opts? diffusion.huber_options
** @option delta number (1; > 0) error from which on the loss is straight
** @return diffusion.tensor a number, or {B} */
static df_tensor *run_huber(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "delta", NULL };
  int options = lua_type(L, 3) == LUA_TTABLE ? 3 : 4;
  bool each = options == 4 && per_sample(L, 3);
  dfl_fields(L, options, names);
  double delta = dfl_field_number(L, options, "delta", 1);
  df_tensor *a = dfl_operand(L, tape, 1);
  return df_huber(tape, a, dfl_operand(L, tape, 2), delta, each);
}

/*** d.cross_entropy
** The mean of -ln softmax(x)[class]; inf with gradient 0 if a row is all -inf.
** @param x diffusion.tensor {B,n}
** @param class integer[]|diffusion.tensor {B} in 1..n
** @param over? string "sample" for one value per sample
** @return diffusion.tensor a number, or {B} */
static df_tensor *run_cross_entropy(lua_State *L, df_tape *tape) {
  bool each = per_sample(L, 3);
  df_tensor *x = dfl_operand(L, tape, 1);
  return df_cross_entropy(tape, x, dfl_whole(L, tape, 2, "cross_entropy: class"), each);
}

static const dfl_op rows[] = {
  { "softmax", run_softmax, 2, "x{3,5}, 2; x{2,4,3}, 1; x{2,4,3}, -2" },
  { "log_softmax", run_log_softmax, 2, "x{3,5}, 2; x{2,4,3}, 2" },
  { "group_norm", run_group_norm, 4,
    "x{2,3,5,6}, x{6}, x{6}, {groups=3}; x{2,7,4}, nil, nil, {groups=2, epsilon=0.1}; "
    "x{2,3,4,6}, x{6}, x{6}, {groups=2, silu=true}; "
    "x{2,3,4,4}, x{4}, nil, {groups=4, silu=true, dropout=0.4}; "
    "x{2,3,5,6}, x{6}, x{6}, {groups=3, silu=true, add=x{2,6}}; "
    "x{2,3,5,6}, x{6}, x{6}, {groups=3, act='mish', add=x{2,6}, modulate=x{2,12}}; "
    "x{2,3,4}, nil, nil, {groups=2, act='gelu', modulate=x{2,8}, dropout=0.3}; "
    "x{2,5,4}, x{4}, x{4}, {groups=2, act='tanh'}; "
    "x{2,3,3,4}, x{4}, nil, {groups=1, modulate=x{2,8}}; "
    "x{2,4,4}, nil, x{4}, {groups=2, act='relu', modulate=x{2,8}}; "
    "x{3,4}, nil, x{4}, {groups=1, add=x{3,4}}; "
    "x{3,4}, nil, x{4}, {groups=1, dropout=0.5}" },
  { "layer_norm", run_layer_norm, 4,
    "x{3,2,5}, x{5}, x{5}; x{4,6}, nil, nil, {epsilon=0.1}; x{2,3}, x{3}, nil; "
    "x{5}, nil, x{5}" },
  { "rms_norm", run_rms_norm, 3,
    "x{3,2,5}, x{5}; x{4,6}, nil, {epsilon=0.1}; x{5}, x{5}" },
  { "geglu", run_geglu, 1, "x{3,6}; x{2,3,2}; x{4}" },
  { "dropout", run_dropout, 2, "x{3,7}, 0.3; x{9}, 0.5" },
  { "embedding", run_embedding, 2 | DFL_MORE,
    "int{0,4,{5}}, x{4,3}; int{1,4,{2,3}}, x{4,2}" },
  { "sinusoid", run_sinusoid, 2, NULL },
  { "fourier", run_fourier, 3, NULL },
  { "fir", run_fir, 2,
    "x{2,3,4,2}, {taps={1,3,3,1}, up=2, before=2, after=1}; "
    "x{1,4,6,3}, {taps={1,3,3,1}, down=2, before=1, after=1}; "
    "x{1,4,3,2}, {taps={1,2,4}, before=2, after=2, reflect=true}; "
    "x{1,3,4,2}, {taps={1,3,3,1}, up=2, before=2, after=1, reflect=true}; "
    "x{1,6,4,1}, {taps={0.5,-1}, down=3, before=-1, after=2}" },
  { "upsample", run_upsample, 2, "x{2,2,3,2}; x{1,2,1,3}, 3" },
  { "avg_pool", run_avg_pool, 2, "x{2,4,2,3}; x{1,3,6,2}, 3" },
  { "mse", run_mse, 3, "x{3,4}, x{3,4}; x{3,2,2}, x{3,2,2}, \"sample\"" },
  { "l1", run_l1, 3, "away{3,4}, pos{3,4}; away{3,4}, pos{3,4}, \"sample\"" },
  { "huber", run_huber, 4,
    "x{4,5}, x{4,5}, {delta=0.8}; x{3,2,2}, x{3,2,2}, \"sample\", {delta=2}" },
  { "cross_entropy", run_cross_entropy, 3,
    "x{4,5}, int{1,5,{4}}; x{3,4}, int{1,4,{3}}, \"sample\"" },
  { NULL, NULL, 0, NULL },
};

/* ==== d.linalg ====================================================================== */

static df_tensor *make_eigh(lua_State *L, df_tape *tape) {
  df_tensor *values, *vectors = df_eigh(tape, dfl_double(L, tape, 1), &values);
  if (!vectors) return NULL;
  dfl_push(L, vectors);
  return values;
}

/*** d.linalg.eigh
** Eigenvalues and eigenvectors of a symmetric matrix, by LAPACK in double. No gradient.
** @param a diffusion.tensor|number[][] {n,n}; must be symmetric and finite
** @return diffusion.tensor values {n}, ascending
** @return diffusion.tensor vectors {n,n}, of unit length, in columns */
static int l_eigh(lua_State *L) {
  dfl_at_most(L, 1 | DFL_MORE);
  lua_settop(L, 1);
  dfl_run(L, make_eigh);
  lua_pushvalue(L, -2);
  return 2;
}

static df_tensor *make_cholesky(lua_State *L, df_tape *tape) {
  return df_cholesky(tape, dfl_double(L, tape, 1));
}

/*** d.linalg.cholesky
** The lower factor L of a = L L^T. No gradient.
** @param a diffusion.tensor|number[][] {n,n}; must be symmetric and positive definite;
**   the error names the first leading minor that is not positive
** @return diffusion.tensor {n,n}, zeros above the diagonal */
static int l_cholesky(lua_State *L) {
  dfl_at_most(L, 1 | DFL_MORE);
  return dfl_run(L, make_cholesky);
}

static df_tensor *make_solve(lua_State *L, df_tape *tape) {
  df_tensor *a = dfl_double(L, tape, 1);
  return df_solve(tape, a, dfl_double(L, tape, 2));
}

/*** d.linalg.solve
** Solves a x = b by elimination in double. No gradient.
** @param a diffusion.tensor|number[][] {n,n}; a singular matrix is an error
** @param b diffusion.tensor|number[]|number[][] {n} or {n,m}
** @return diffusion.tensor as b */
static int l_solve(lua_State *L) {
  dfl_at_most(L, 2 | DFL_MORE);
  return dfl_run(L, make_solve);
}

/*** d.linalg
** Linear algebra for small matrices, by LAPACK in double. Lists and f64 tensors are read
** exactly. Results are reals. */
static const luaL_Reg linalg[] = {
  { "eigh", l_eigh }, { "cholesky", l_cholesky }, { "solve", l_solve }, { NULL, NULL }
};

void dfl_open_op(lua_State *L) {
  dfl_ops(L, rows);
  lua_getfield(L, LUA_REGISTRYINDEX, DFL_CORE);
  lua_newtable(L);
  dfl_set_functions(L, linalg);
  lua_setfield(L, -2, "linalg");
  lua_pop(L, 1);
}
