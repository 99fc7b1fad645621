/* Rows of the ops that layers and objectives are made of: norms, softmax, embedding,
** resampling, dropout, losses; and d.linalg. */
#include "binding/binding.h"

/* ==== along a dimension ================================================================== */

static df_tensor *run_softmax(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_softmax(tape, x, dfl_dim(L, 2, x));
}

static df_tensor *run_log_softmax(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_log_softmax(tape, x, dfl_dim(L, 2, x));
}

/* ==== norms ============================================================================== */

/* group_norm(x, w, b, {groups=, eps=1e-5, silu=false, dropout=0}) */
static df_tensor *run_group_norm(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "groups", "eps", "silu", "dropout", NULL };
  df_tensor *x = dfl_tensor(L, 1), *w = dfl_tensor_or_nil(L, 2);
  df_tensor *b = dfl_tensor_or_nil(L, 3);
  luaL_checktype(L, 4, LUA_TTABLE);
  dfl_fields(L, 4, names);
  df_norm_opts opts = { .groups = dfl_field_int(L, 4, "groups", 0), .form = DF_ROWS };
  opts.tiny = dfl_field_number(L, 4, "eps", 1e-5);
  opts.silu = dfl_field_flag(L, 4, "silu", false);
  opts.keep = 1 - dfl_field_number(L, 4, "dropout", 0);
  return df_group_norm(tape, x, w, b, &opts);
}

/* layer_norm(x, w, b, {eps=1e-5}) */
static df_tensor *run_layer_norm(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "eps", NULL };
  df_tensor *x = dfl_tensor(L, 1), *w = dfl_tensor_or_nil(L, 2);
  df_tensor *b = dfl_tensor_or_nil(L, 3);
  dfl_fields(L, 4, names);
  return df_layer_norm(tape, x, w, b, dfl_field_number(L, 4, "eps", 1e-5));
}

/* dropout(x, p): p is the share dropped */
static df_tensor *run_dropout(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_dropout(tape, x, 1 - luaL_checknumber(L, 2));
}

/* ==== whole numbers and times to vectors ================================================= */

static df_tensor *run_embedding(lua_State *L, df_tape *tape) {
  df_tensor *index = dfl_whole(L, tape, 1);
  return df_embedding(tape, index, dfl_tensor(L, 2));
}

/* sinusoid(t, {width=, max_period=10000, shift=0, sin_first=false}) */
static df_tensor *run_sinusoid(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "width", "max_period", "shift", "sin_first",
                                       NULL };
  df_tensor *t = dfl_operand(L, tape, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  dfl_fields(L, 2, names);
  df_sinusoid_opts opts = { .width = dfl_field_int(L, 2, "width", 0) };
  opts.max_period = dfl_field_number(L, 2, "max_period", 10000);
  opts.shift = dfl_field_number(L, 2, "shift", 0);
  opts.sin_first = dfl_field_flag(L, 2, "sin_first", false);
  return df_sinusoid(tape, t, &opts);
}

/* ==== resampling ========================================================================= */

static df_tensor *run_upsample(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_upsample(tape, x, (df_int)luaL_optinteger(L, 2, 2));
}

static df_tensor *run_avg_pool(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_avg_pool(tape, x, (df_int)luaL_optinteger(L, 2, 2));
}

/* ==== losses: (a, b [, "sample"]) ======================================================== */

static bool per_sample(lua_State *L, int arg) {
  static const char *const over[] = { "mean", "sample", NULL };
  return luaL_checkoption(L, arg, "mean", over) == 1;
}

static df_tensor *run_mse(lua_State *L, df_tape *tape) {
  bool each = per_sample(L, 3);
  df_tensor *a = dfl_operand(L, tape, 1);
  return df_mse(tape, a, dfl_operand(L, tape, 2), each);
}

static df_tensor *run_l1(lua_State *L, df_tape *tape) {
  bool each = per_sample(L, 3);
  df_tensor *a = dfl_operand(L, tape, 1);
  return df_l1(tape, a, dfl_operand(L, tape, 2), each);
}

/* huber(a, b [, "sample"] [, {delta=1}]) */
static df_tensor *run_huber(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "delta", NULL };
  int options = lua_type(L, 3) == LUA_TTABLE ? 3 : 4;
  bool each = options == 4 && per_sample(L, 3);
  dfl_fields(L, options, names);
  double delta = dfl_field_number(L, options, "delta", 1);
  df_tensor *a = dfl_operand(L, tape, 1);
  return df_huber(tape, a, dfl_operand(L, tape, 2), delta, each);
}

static df_tensor *run_cross_entropy(lua_State *L, df_tape *tape) {
  bool each = per_sample(L, 3);
  df_tensor *x = dfl_operand(L, tape, 1);
  return df_cross_entropy(tape, x, dfl_whole(L, tape, 2), each);
}

static const dfl_op rows[] = {
  { "softmax", run_softmax, "x{3,5}, 2; x{2,4,3}, 1; x{2,4,3}, -2" },
  { "log_softmax", run_log_softmax, "x{3,5}, 2; x{2,4,3}, 2" },
  { "group_norm", run_group_norm,
    "x{2,3,5,6}, x{6}, x{6}, {groups=3}; x{2,7,4}, nil, nil, {groups=2, eps=0.1}; "
    "x{2,3,4,6}, x{6}, x{6}, {groups=2, silu=true}; "
    "x{2,3,4,4}, x{4}, nil, {groups=4, silu=true, dropout=0.4}; "
    "x{3,4}, nil, x{4}, {groups=1, dropout=0.5}" },
  { "layer_norm", run_layer_norm,
    "x{3,2,5}, x{5}, x{5}; x{4,6}, nil, nil, {eps=0.1}; x{2,3}, x{3}, nil; "
    "x{5}, nil, x{5}" },
  { "dropout", run_dropout, "x{3,7}, 0.3; x{9}, 0.5" },
  { "embedding", run_embedding, "int{0,4,{5}}, x{4,3}; int{1,4,{2,3}}, x{4,2}" },
  { "sinusoid", run_sinusoid, NULL },
  { "upsample", run_upsample, "x{2,2,3,2}; x{1,2,1,3}, 3" },
  { "avg_pool", run_avg_pool, "x{2,4,2,3}; x{1,3,6,2}, 3" },
  { "mse", run_mse, "x{3,4}, x{3,4}; x{3,2,2}, x{3,2,2}, \"sample\"" },
  { "l1", run_l1, "away{3,4}, pos{3,4}; away{3,4}, pos{3,4}, \"sample\"" },
  { "huber", run_huber,
    "x{4,5}, x{4,5}, {delta=0.8}; x{3,2,2}, x{3,2,2}, \"sample\", {delta=2}" },
  { "cross_entropy", run_cross_entropy,
    "x{4,5}, int{1,5,{4}}; x{3,4}, int{1,4,{3}}, \"sample\"" },
  { NULL, NULL, NULL },
};

/* ==== d.linalg =========================================================================== */

static df_tensor *make_eigh(lua_State *L, df_tape *tape) {
  df_tensor *values, *vectors = df_eigh(tape, dfl_operand(L, tape, 1), &values);
  if (!vectors) return NULL;
  dfl_push(L, vectors);
  return values;
}

/* eigh(a) -> values {n} ascending, vectors {n,n} in columns */
static int l_eigh(lua_State *L) {
  lua_settop(L, 1);
  dfl_run(L, make_eigh);
  lua_pushvalue(L, -2);
  return 2;
}

static df_tensor *make_cholesky(lua_State *L, df_tape *tape) {
  return df_cholesky(tape, dfl_operand(L, tape, 1));
}

/* cholesky(a) -> L, lower, a = L L^T */
static int l_cholesky(lua_State *L) { return dfl_run(L, make_cholesky); }

static df_tensor *make_solve(lua_State *L, df_tape *tape) {
  df_tensor *a = dfl_operand(L, tape, 1);
  return df_solve(tape, a, dfl_operand(L, tape, 2));
}

/* solve(a, b) -> x, a x = b; b {n} or {n,m} */
static int l_solve(lua_State *L) { return dfl_run(L, make_solve); }

static const luaL_Reg linalg[] = {
  { "eigh", l_eigh }, { "cholesky", l_cholesky }, { "solve", l_solve }, { NULL, NULL }
};

void dfl_open_op(lua_State *L) {
  dfl_ops(L, rows);
  lua_getfield(L, LUA_REGISTRYINDEX, "diffusion.core");
  luaL_newlib(L, linalg);
  lua_setfield(L, -2, "linalg");
  lua_pop(L, 1);
}
