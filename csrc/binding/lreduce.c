/* Sums, extremes and sorting: methods such as x:sum(dim, keep). Without dim they cover
** all elements. */
#include "binding/binding.h"
#include "ops/fold.h"

typedef df_tensor *folder(df_tape *tape, df_tensor *x, unsigned dims, bool keep);

static df_tensor *fold(lua_State *L, df_tape *tape, folder *f) {
  df_tensor *x = dfl_tensor(L, 1);
  return f(tape, x, dfl_dims(L, 2, x), dfl_flag(L, 3, "keep"));
}

static df_tensor *run_sum(lua_State *L, df_tape *tape) { return fold(L, tape, df_sum); }
static df_tensor *run_mean(lua_State *L, df_tape *tape) { return fold(L, tape, df_mean); }
static df_tensor *run_norm(lua_State *L, df_tape *tape) { return fold(L, tape, df_norm); }
static df_tensor *run_max(lua_State *L, df_tape *tape) {
  return fold(L, tape, df_largest);
}
static df_tensor *run_min(lua_State *L, df_tape *tape) {
  return fold(L, tape, df_smallest);
}

static df_int correction_at(lua_State *L, int arg) {
  lua_Integer n = luaL_optinteger(L, arg, 1);
  luaL_argcheck(L, n >= 0, arg, "a correction of 0 or more expected");
  return (df_int)n;
}

static df_tensor *run_var(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  df_int correction = correction_at(L, 4);
  return df_var(tape, x, dfl_dims(L, 2, x), dfl_flag(L, 3, "keep"), correction);
}

static df_tensor *run_std(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  df_int correction = correction_at(L, 4);
  return df_std(tape, x, dfl_dims(L, 2, x), dfl_flag(L, 3, "keep"), correction);
}

static df_tensor *run_prod(lua_State *L, df_tape *tape) { return fold(L, tape, df_prod); }
static df_tensor *run_logsumexp(lua_State *L, df_tape *tape) {
  return fold(L, tape, df_logsumexp);
}

static df_tensor *positions(lua_State *L, df_tape *tape, bool smallest) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_argmax(tape, x, dfl_dims(L, 2, x), dfl_flag(L, 3, "keep"), smallest);
}

static df_tensor *run_argmax(lua_State *L, df_tape *tape) {
  return positions(L, tape, false);
}
static df_tensor *run_argmin(lua_State *L, df_tape *tape) {
  return positions(L, tape, true);
}

/* The dimension at arg, by default the last. */
static int dim_or_last(lua_State *L, int arg, const df_tensor *x) {
  luaL_argcheck(L, x->shape.ndim > 0, 1, "a tensor of no dimensions has no order");
  return lua_isnoneornil(L, arg) ? x->shape.ndim - 1 : dfl_dim(L, arg, x);
}

static df_tensor *run_cumsum(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_cumsum(tape, x, dim_or_last(L, 2, x));
}

/* sort(dim, descending) and topk(k, dim) give the values; the methods also give
** positions */
static df_tensor *sorted(lua_State *L, df_tape *tape, df_tensor **index) {
  df_tensor *x = dfl_tensor(L, 1);
  return df_sort(tape, x, dim_or_last(L, 2, x), dfl_flag(L, 3, "descending"), index);
}

static df_tensor *run_sort(lua_State *L, df_tape *tape) { return sorted(L, tape, NULL); }

static df_tensor *largest(lua_State *L, df_tape *tape, df_tensor **index) {
  df_tensor *x = dfl_tensor(L, 1);
  df_int k = (df_int)luaL_checkinteger(L, 2);
  return df_topk(tape, x, k, dim_or_last(L, 3, x), index);
}

static df_tensor *run_topk(lua_State *L, df_tape *tape) { return largest(L, tape, NULL); }

static df_tensor *run_quantile(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  double q = luaL_checknumber(L, 2);
  bool all = lua_isnoneornil(L, 3), keep = dfl_flag(L, 4, "keep");
  if (!all) return df_quantile(tape, x, q, dfl_dim(L, 3, x), keep);
  df_shape flat = { 1, { df_tensor_count(x) } }, shape;
  df_reduced_shape(&x->shape, ~0u, keep, &shape);
  df_tensor *y = df_quantile(tape, df_reshape(tape, x, &flat), q, 0, false);
  return df_reshape(tape, y, &shape);
}

static df_tensor *run_index(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  int dim = dfl_dim(L, 2, x);
  return df_index(tape, x, dim, dfl_whole(L, tape, 3, "index: index"));
}

static df_tensor *run_gather(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1);
  int dim = dfl_dim(L, 2, x);
  return df_gather(tape, x, dim, dfl_whole(L, tape, 3, "gather: index"));
}

/*** Tensor:sum, mean, prod, norm, logsumexp
** sum: The sum along dimensions, or of all elements.
** mean: The mean along dimensions, or of all elements.
** prod: The product along dimensions, or of all elements.
** norm: The L2 norm, sqrt(sum x^2), along dimensions, or of all elements. Its gradient
**   at 0
**   is 0.
** logsumexp: ln sum e^x without overflow, along dimensions, or over all elements. It
**   is -inf
**   with gradient 0 if there are no elements, or if all are -inf.
** The order of additions depends only on the shape. Sums and products of integers are
** exact
** i64; it is an error if i64 cannot hold the result.
** @param dim? integer|integer[] from 1, or from -1 for the last; default: all
** @param keep? boolean keep reduced dimensions with size 1; default false
** @return diffusion.tensor
** @usage print(d.ones(2, 3):sum(2)) */

/*** Tensor:var, std
** var: The variance, sum (x - mean)^2 / (n - correction).
** std: The standard deviation, sqrt(sum (x - mean)^2 / (n - correction)).
** The result is nan if n <= correction. The gradient of std is 0 if the variance is 0.
** @param dim? integer|integer[] default: all
** @param keep? boolean default false
** @param correction? integer default 1; 0 gives the mean square
** @return diffusion.tensor */

/*** Tensor:max, min
** max: The largest element; nan if any element is nan.
** min: The smallest element; nan if any element is nan.
** It is an error if there are no elements. Equal extremes share the gradient equally.
** @param dim? integer|integer[] default: all
** @param keep? boolean default false
** @return diffusion.tensor values
** @return diffusion.tensor|nil places i64 from 1, the first of equals; with a dimension
**   only */

/*** Tensor:argmax, argmin
** argmax: The position of the largest element; the first one if several are equal.
** argmin: The position of the smallest element; the first one if several are equal.
** @param dim? integer default: all elements in one row
** @param keep? boolean default false
** @return diffusion.tensor i64, from 1 */

/*** Tensor:cumsum
** Cumulative sum: y_i = x_1 + ... + x_i along a dimension. Integers give exact i64, or an
** error.
** @param dim? integer default: the last
** @return diffusion.tensor with the shape of x */

/*** Tensor:sort
** Sorts along a dimension. Equal elements keep their order, and nan comes last.
** @param dim? integer default: the last
** @param descending? boolean default false
** @return diffusion.tensor values
** @return diffusion.tensor places i64, where each stood, from 1 */

/*** Tensor:topk
** The k largest elements along a dimension, in descending order.
** @param k integer from 0 to the size of the dimension
** @param dim? integer default: the last
** @return diffusion.tensor values
** @return diffusion.tensor places i64, from 1 */

/*** Tensor:quantile
** The q-quantile, with linear interpolation between the two nearest elements.
** @param q number in [0, 1]
** @param dim? integer|integer[] default: all
** @param keep? boolean default false
** @return diffusion.tensor */

/*** Tensor:index
** Selects by positions along a dimension: y[..., j, ...] = x[..., places[j], ...].
** @param dim integer
** @param places integer[]|diffusion.tensor {n}, from 1
** @return diffusion.tensor the type of x; the size of the dimension is n */

/*** Tensor:gather
** Selects an element for each position: for dim 2, y[i][j] = x[i][places[i][j]].
** @param dim integer
** @param places diffusion.tensor i64 with as many dimensions as x, from 1
** @return diffusion.tensor with the shape of places */
static const dfl_op rows[] = {
  { "sum", run_sum, 3, "x{2,3}; x{2,3}, 1; x{2,3,2}, {1,3}, true; x{2,3,2}, 2; x{}" },
  { "mean", run_mean, 3, "x{2,3}; x{2,3}, 2, true; x{2,3,2}, {2,3}" },
  { "var", run_var, 4, "x{2,3}; x{2,3}, 2; x{2,3,2}, {1,3}, true, 0" },
  { "std", run_std, 4, "x{2,3}; x{2,3}, 2; x{2,3,2}, {1,3}, true, 0" },
  { "norm", run_norm, 3, "x{2,3}; x{2,3}, 1; x{2,3,2}, {2,3}, true" },
  { "max", run_max, 3, "x{2,3}; x{2,3}, 1; x{2,3,2}, {1,3}, true" },
  { "min", run_min, 3, "x{2,3}; x{2,3}, 2, true; x{2,3,2}, {1,2}" },
  { "prod", run_prod, 3, "x{2,3}; x{2,3}, 1; x{2,3,2}, {1,3}, true" },
  { "logsumexp", run_logsumexp, 3, "x{2,3}; x{2,3}, 2; x{2,3,2}, 2, true" },
  { "argmax", run_argmax, 3, NULL },
  { "argmin", run_argmin, 3, NULL },
  { "cumsum", run_cumsum, 2, "x{4}; x{2,3}, 1; x{2,3,2}, -2" },
  { "sort", run_sort, 3, "x{5}; x{3,2}, 1; x{2,40}, 2, true" },
  { "topk", run_topk, 3, "x{5}, 2; x{3,2}, 2, 1" },
  { "quantile", run_quantile, 4, "x{6}, 0.3; x{3,4}, 0.5, 1; x{2,5}, 0.9, 2, true" },
  { "index", run_index, 3 | DFL_MORE, "x{4,3}, 1, int{1,4,{6}}; x{2,3,2}, 2, {3,1,3}" },
  { "gather", run_gather, 3 | DFL_MORE,
    "x{3,4}, 2, int{1,4,{3,5}}; x{4,3}, 1, int{1,4,{2,3}}" },
  { NULL, NULL, 0, NULL },
};

/* ==== values and their positions ==================================================== */

/* The values that `make` left on the stack become the second result. */
static int two(lua_State *L, dfl_maker *make) {
  dfl_at_most(L, 3);
  dfl_run(L, make);
  lua_insert(L, -2);
  return 2;
}

static df_tensor *sort_both(lua_State *L, df_tape *tape) {
  df_tensor *index = NULL, *y = sorted(L, tape, &index);
  if (y) dfl_push(L, index);
  return y;
}

static df_tensor *topk_both(lua_State *L, df_tape *tape) {
  df_tensor *index = NULL, *y = largest(L, tape, &index);
  if (y) dfl_push(L, index);
  return y;
}

static df_tensor *max_both(lua_State *L, df_tape *tape) {
  df_tensor *y = run_max(L, tape), *at = y ? run_argmax(L, tape) : NULL;
  if (at) dfl_push(L, at);
  return at ? y : NULL;
}

static df_tensor *min_both(lua_State *L, df_tape *tape) {
  df_tensor *y = run_min(L, tape), *at = y ? run_argmin(L, tape) : NULL;
  if (at) dfl_push(L, at);
  return at ? y : NULL;
}

static int l_sort(lua_State *L) { return two(L, sort_both); }
static int l_topk(lua_State *L) { return two(L, topk_both); }

static int l_max(lua_State *L) {
  dfl_at_most(L, 3);
  return lua_isnoneornil(L, 2) ? dfl_run(L, run_max) : two(L, max_both);
}
static int l_min(lua_State *L) {
  dfl_at_most(L, 3);
  return lua_isnoneornil(L, 2) ? dfl_run(L, run_min) : two(L, min_both);
}

/* ==== truth ========================================================================= */

static df_tensor *filled(df_tape *tape, df_dtype dtype, const df_shape *shape,
                         double value) {
  df_tensor *y = df_scope_own(tape, df_tensor_new(dtype, shape));
  return y && df_fill_into(tape, y, value) == DF_OK ? y : NULL;
}

/* 1 if the extreme of x ~= 0 is 1. `of_nothing` is the result if there are no
** elements. */
static df_tensor *truth(lua_State *L, df_tape *tape, folder *f, bool of_nothing) {
  df_tensor *x = dfl_tensor(L, 1);
  df_shape none = { .ndim = 0 }, shape;
  unsigned dims = dfl_dims(L, 2, x);
  bool keep = dfl_flag(L, 3, "keep");
  df_reduced_shape(&x->shape, dims ? dims : ~0u, keep, &shape);
  if (df_tensor_count(x) == 0) return filled(tape, DF_U8, &shape, of_nothing);
  df_dtype kind = df_dtype_is_float(x->dtype) ? DF_REAL : DF_I64;
  df_tensor *mask = df_compare(tape, "ne", x, filled(tape, kind, &none, 0));
  return mask ? df_to(tape, f(tape, mask, dims, keep), DF_U8) : NULL;
}

static df_tensor *make_any(lua_State *L, df_tape *tape) {
  return truth(L, tape, df_largest, false);
}
static df_tensor *make_all(lua_State *L, df_tape *tape) {
  return truth(L, tape, df_smallest, true);
}

/* Over all elements the result is a boolean; along a dimension it is a mask. */
static int answer(lua_State *L, dfl_maker *make) {
  dfl_at_most(L, 3);
  bool whole = lua_isnoneornil(L, 2);
  dfl_run(L, make);
  if (whole) lua_pushboolean(L, *(uint8_t *)df_tensor_data(dfl_tensor(L, -1)));
  return 1;
}

/*** Tensor:any, all
** any: True if any element is not 0. False if there are no elements.
** all: True if no element is 0. True if there are no elements.
** A tensor itself is always true in Lua, so write `if mask:any() then`.
** @param dim? integer|integer[] default: all elements, and the result is a boolean
** @param keep? boolean default false
** @return boolean|diffusion.tensor u8 along a dimension */
static int l_any(lua_State *L) { return answer(L, make_any); }
static int l_all(lua_State *L) { return answer(L, make_all); }

static const luaL_Reg methods[] = {
  { "any", l_any }, { "all", l_all }, { "sort", l_sort }, { "topk", l_topk },
  { "max", l_max }, { "min", l_min }, { NULL, NULL },
};

void dfl_open_reduce(lua_State *L) {
  dfl_ops(L, rows);
  dfl_methods(L, methods);
}
