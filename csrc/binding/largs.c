/* Argument checks for shapes, dimensions, positions and options. */
#include <string.h>

#include "binding/binding.h"

void *dfl_living(lua_State *L, int arg, void *held) {
  if (!held) luaL_argerror(L, arg, "attempt to use an object whose finaliser has run");
  return held;
}

/* True if the argument at i may follow the tensor at `last`, as a further result of its
** call. */
static bool returned(lua_State *L, int i, int last) {
  return luaL_testudata(L, last, DFL_TENSOR) && lua_type(L, i) != LUA_TSTRING
         && !lua_isboolean(L, i);
}

void dfl_at_most(lua_State *L, int most) {
  int last = most & ~DFL_MORE;
  for (int i = lua_gettop(L); i > last; i--)
    if (!lua_isnil(L, i) && !((most & DFL_MORE) && returned(L, i, last)))
      luaL_argerror(L, i,
                    lua_pushfstring(L, "an argument too many: %s", dfl_briefly(L, i)));
}

const char *dfl_stray(lua_State *L, int index) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, index);
  index = lua_absindex(L, index);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    lua_Integer at = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (at < 1 || at > n) return dfl_printable(L, -2, false);
  }
  return NULL;
}

int dfl_list(lua_State *L, int index, int arg) {
  const char *stray = dfl_stray(L, index);
  if (stray)
    luaL_argerror(L, arg,
                  lua_pushfstring(L,
                                  "a list takes no field '%s'; give options in a table "
                                  "of their own, after the list",
                                  stray));
  return (int)lua_rawlen(L, index);
}

/* Reads the number at index; returns false if it is not an integer. */
static bool is_whole(lua_State *L, int index, lua_Integer *n) {
  int whole = 0;
  if (lua_type(L, index) == LUA_TNUMBER) *n = lua_tointegerx(L, index, &whole);
  return whole;
}

static df_int size_at(lua_State *L, int index, int arg) {
  lua_Integer n = 0;
  if (!is_whole(L, index, &n) || n < 0)
    luaL_argerror(L, arg,
                  lua_pushfstring(L,
                                  "a size must be a whole number of 0 or more, "
                                  "got %s",
                                  dfl_briefly(L, index)));
  return (df_int)n;
}

static void shape_of_table(lua_State *L, int arg, df_shape *shape) {
  int n = dfl_list(L, arg, arg);
  if (n > DF_DIMS)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "at most %d dimensions, got %d", DF_DIMS, n));
  shape->ndim = n;
  for (int i = 0; i < shape->ndim; i++) {
    lua_rawgeti(L, arg, i + 1);
    shape->size[i] = size_at(L, -1, arg);
    lua_pop(L, 1);
  }
}

static void check_count(lua_State *L, int arg, const df_shape *shape) {
  if (df_shape_count(shape) < 0)
    luaL_argerror(
        L, arg,
        lua_pushfstring(L, "a tensor of shape %s is too large", df_shape_text(shape)));
}

int dfl_shape(lua_State *L, int arg, df_shape *shape) {
  int at = arg;
  *shape = (df_shape){ .ndim = 0 };
  if (lua_type(L, arg) == LUA_TTABLE) {
    shape_of_table(L, at++, shape);
  } else {
    luaL_checktype(L, arg, LUA_TNUMBER);
    while (lua_type(L, at) == LUA_TNUMBER) {
      if (shape->ndim == DF_DIMS) luaL_argerror(L, at, "at most 8 dimensions");
      shape->size[shape->ndim++] = size_at(L, at, at);
      at++;
    }
  }
  check_count(L, arg, shape);
  return at;
}

static int dim_at(lua_State *L, int index, int arg, const df_tensor *x) {
  int n = x->shape.ndim;
  bool text = lua_type(L, index) == LUA_TSTRING; /* the push below may reuse the index */
  lua_Integer d = 0;
  if (!is_whole(L, index, &d) || d == 0 || d > n || d < -n)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "dimension %s%s of a tensor %s, which has %d",
                                  text ? "as text: " : "", dfl_briefly(L, index),
                                  df_tensor_text(x), n));
  return (int)(d > 0 ? d - 1 : d + n);
}

int dfl_dim(lua_State *L, int arg, const df_tensor *x) { return dim_at(L, arg, arg, x); }

unsigned dfl_dims(lua_State *L, int arg, const df_tensor *x) {
  unsigned dims = 0;
  if (lua_isnoneornil(L, arg)) return 0;
  if (lua_type(L, arg) != LUA_TTABLE) return 1u << dim_at(L, arg, arg, x);
  int n = dfl_list(L, arg, arg);
  if (n == 0) luaL_argerror(L, arg, "a list of no dimensions; nil stands for all");
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, arg, i);
    unsigned dim = 1u << dim_at(L, -1, arg, x);
    if (dims & dim)
      luaL_argerror(L, arg,
                    lua_pushfstring(L, "dimension %s comes twice", dfl_briefly(L, -1)));
    dims |= dim;
    lua_pop(L, 1);
  }
  return dims;
}

df_int dfl_position(lua_State *L, int arg, df_int n, const char *what) {
  lua_Integer i = luaL_checkinteger(L, arg);
  if (i == 0 || i > n || i < -n)
    luaL_error(L, "index %I is out of range for %s of size %I", i, what, (lua_Integer)n);
  return (df_int)(i > 0 ? i - 1 : i + n);
}

bool dfl_flag(lua_State *L, int arg, const char *name) {
  if (!lua_isnoneornil(L, arg) && !lua_isboolean(L, arg))
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "%s: true or false expected, got %s", name,
                                  dfl_briefly(L, arg)));
  return lua_toboolean(L, arg);
}

const char *dfl_path(lua_State *L, int arg) {
  size_t bytes;
  const char *path = luaL_checklstring(L, arg, &bytes);
  const char *nul = memchr(path, 0, bytes);
  if (nul)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "a path has no byte 0, but byte %d of this one is",
                                  (int)(nul - path) + 1));
  return path;
}

/* Pushes the names as one text, up to the first old one. */
static const char *push_valid(lua_State *L, const char *const *names) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; names[i] && !strchr(names[i], '='); i++) {
    if (i) luaL_addstring(&b, ", ");
    luaL_addstring(&b, names[i]);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

int dfl_option(lua_State *L, int arg, const char *otherwise, const char *const *words) {
  const char *word = luaL_optstring(L, arg, otherwise);
  for (int i = 0; words[i]; i++)
    if (strcmp(words[i], word) == 0) return i;
  const char *valid = push_valid(L, words);
  return luaL_argerror(
      L, arg,
      lua_pushfstring(L, "no '%s'; there are %s", dfl_printable(L, arg, false), valid));
}

/* Names of our types in PyTorch and NumPy. */
static const char *const dtypes[][2] = {
  { "float32", "f32" }, { "float", "f32" },   { "single", "f32" }, { "float64", "f64" },
  { "double", "f64" },  { "float16", "f16" }, { "half", "f16" },   { "bfloat16", "bf16" },
  { "uint8", "u8" },    { "byte", "u8" },     { "int64", "i64" },  { "long", "i64" },
  { "int", "i64" },     { "integer", "i64" },
};

/* Advice for a name from PyTorch: x:to "float32", x:to "cuda". */
static const char *dtype_advice(lua_State *L, const char *name) {
  if (strncmp(name, "torch.", 6) == 0) name += 6;
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
    if (strcmp(name, dtypes[i][0]) == 0)
      return lua_pushfstring(L, "; '%s' is called '%s' here", name, dtypes[i][1]);
  static const char *const devices[] = {
    "cuda", "cpu", "gpu", "mps", "hip", "xpu", NULL
  };
  for (int i = 0; devices[i]; i++)
    if (strncmp(name, devices[i], strlen(devices[i])) == 0)
      return "; there are no devices: tensors stay in memory and the CPU computes";
  return "";
}

df_dtype dfl_dtype(lua_State *L, int arg, df_dtype otherwise) {
  df_dtype dtype = otherwise;
  if (lua_isnoneornil(L, arg)) return dtype;
  const char *name = luaL_checkstring(L, arg);
  if (!df_dtype_find(name, &dtype))
    luaL_argerror(L, arg,
                  lua_pushfstring(L,
                                  "no type '%s'; there are f32, f64, f16, "
                                  "bf16, u8, i64%s",
                                  dfl_printable(L, arg, false), dtype_advice(L, name)));
  return dtype;
}

/* ==== options ======================================================================= */

/* Pushes the field. Returns false and pushes nothing if it is nil or absent. */
static bool field(lua_State *L, int arg, const char *name) {
  if (lua_isnoneornil(L, arg)) return false;
  luaL_checktype(L, arg, LUA_TTABLE);
  if (lua_getfield(L, arg, name) != LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

df_int dfl_field_int(lua_State *L, int arg, const char *name, df_int otherwise) {
  if (!field(L, arg, name)) return otherwise;
  int whole;
  lua_Integer n = lua_tointegerx(L, -1, &whole);
  if (!whole)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "option '%s': a whole number expected, got %s", name,
                                  dfl_briefly(L, -1)));
  lua_pop(L, 1);
  return (df_int)n;
}

double dfl_field_number(lua_State *L, int arg, const char *name, double otherwise) {
  if (!field(L, arg, name)) return otherwise;
  if (lua_type(L, -1) != LUA_TNUMBER)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "option '%s': a number expected, got %s", name,
                                  dfl_briefly(L, -1)));
  double x = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return x;
}

bool dfl_field_flag(lua_State *L, int arg, const char *name, bool otherwise) {
  if (!field(L, arg, name)) return otherwise;
  if (!lua_isboolean(L, -1))
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "option '%s': true or false expected, got %s", name,
                                  dfl_briefly(L, -1)));
  bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}

int dfl_field_option(lua_State *L, int arg, const char *name, const char *const *words) {
  if (!field(L, arg, name)) return 0;
  const char *word = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  int i = 0;
  while (words[i] && strcmp(words[i], word) != 0) i++;
  if (!words[i]) {
    const char *bad = dfl_briefly(L, -1), *valid = push_valid(L, words);
    luaL_argerror(
        L, arg, lua_pushfstring(L, "option '%s': no %s; there are %s", name, bad, valid));
  }
  lua_pop(L, 1);
  return i;
}

static bool known(const char *name, const char *const *names) {
  while (*names && strcmp(*names, name) != 0) names++;
  return *names != NULL;
}

/* The nearest of the names if it may be what was meant, or NULL. */
static const char *nearest(lua_State *L, const char *word, const char *const *names) {
  const char *best = NULL;
  size_t letters = strlen(word), least = dfl_near(letters);
  for (; *names; names++)
    if (!strchr(*names, '=') && dfl_nearer(L, word, letters, *names, &least))
      best = *names;
  return best;
}

/* The new name where an entry "old=new" has this old one, or NULL. */
static const char *renamed(const char *word, const char *const *names) {
  size_t n = strlen(word);
  for (; *names; names++)
    if (strncmp(*names, word, n) == 0 && (*names)[n] == '=') return *names + n + 1;
  return NULL;
}

static void refuse(lua_State *L, int arg, const char *bad, const char *const *names) {
  const char *new = renamed(bad, names), *near = nearest(L, bad, names);
  if (new)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "option '%s' is called '%s' here", bad, new));
  const char *hint = near ? lua_pushfstring(L, "; did you mean '%s'?", near) : ";";
  const char *valid = push_valid(L, names);
  luaL_argerror(L, arg,
                lua_pushfstring(L, "unknown option '%s'%s valid: %s", bad, hint, valid));
}

void dfl_fields(lua_State *L, int arg, const char *const *names) {
  if (lua_isnoneornil(L, arg)) return;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    if (lua_type(L, -2) == LUA_TSTRING && known(lua_tostring(L, -2), names)) continue;
    refuse(L, arg, dfl_printable(L, -2, false), names);
  }
}
