/* A host program whose allocations fail where a script says. host.attempt fails the n-th
** allocation of one kind, or all from the n-th on. There are three kinds: Lua's
** allocator, the core's (base/alloc.c calls df_alloc_fails), and the C library's malloc.
** libpng, zlib, TurboJPEG and parts of the core call malloc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LUA, CORE, SYSTEM, KINDS };
static const char *const kinds[] = { "lua", "core", "system", NULL };

static _Thread_local struct gate { /* in other threads it is never closed */
  bool armed, once, hit;
  int kind;
  lua_Integer at, seen[KINDS];
} gate;

static bool refused(int kind) {
  if (!gate.armed || ++gate.seen[kind] < gate.at || kind != gate.kind) return false;
  if (gate.once && gate.hit) return false;
  return gate.hit = true;
}

/* ==== the three allocators ========================================================== */

bool df_alloc_fails(void);
bool df_alloc_fails(void) { return refused(CORE); }

/* The real functions, looked up at the first call. The lookup itself allocates a little
** memory, which is never freed. */
static struct real {
  void *(*malloc)(size_t);
  void *(*calloc)(size_t, size_t);
  void *(*realloc)(void *, size_t);
  int (*posix_memalign)(void **, size_t, size_t);
  void (*free)(void *);
} real;

static _Alignas(16) char early[8192];
static size_t used;
static bool looking;

static void *early_block(size_t bytes) {
  size_t at = used;
  used += (bytes + 15) / 16 * 16;
  return used <= sizeof early ? early + at : NULL;
}

static bool is_early(const void *block) {
  return (const char *)block >= early && (const char *)block < early + sizeof early;
}

#define LOOK_UP(name) *(void **)&real.name = dlsym(RTLD_NEXT, #name)

static bool ready(void) {
  if (real.free || looking) return real.free != NULL;
  looking = true;
  LOOK_UP(malloc);
  LOOK_UP(calloc);
  LOOK_UP(realloc);
  LOOK_UP(posix_memalign);
  LOOK_UP(free);
  looking = false;
  return true;
}

static void *none(void) {
  errno = ENOMEM;
  return NULL;
}

void *malloc(size_t bytes) {
  if (!ready()) return early_block(bytes);
  return refused(SYSTEM) ? none() : real.malloc(bytes);
}

void *calloc(size_t n, size_t bytes) {
  if (!ready()) return early_block(n * bytes); /* already zero */
  return refused(SYSTEM) ? none() : real.calloc(n, bytes);
}

void *realloc(void *block, size_t bytes) {
  if (!ready()) return early_block(bytes);
  return refused(SYSTEM) ? none() : real.realloc(block, bytes);
}

int posix_memalign(void **block, size_t align, size_t bytes) {
  if (!ready() || refused(SYSTEM)) return ENOMEM;
  return real.posix_memalign(block, align, bytes);
}

void free(void *block) {
  if (block && !is_early(block) && ready()) real.free(block);
}

/* Lua relies on shrinking never to fail. */
static void *lua_allocator(void *nothing, void *block, size_t old, size_t bytes) {
  (void)nothing;
  if (bytes == 0) {
    real.free(block);
    return NULL;
  }
  if (block && bytes <= old) return real.realloc(block, bytes);
  return refused(LUA) ? NULL : real.realloc(block, bytes);
}

/* ==== functions for the script ====================================================== */

/* attempt(kind, n, once, f) -> whether an allocation failed, whether f returned, and its
** results or error */
static int l_attempt(lua_State *L) {
  int kind = luaL_checkoption(L, 1, NULL, kinds);
  lua_Integer n = luaL_checkinteger(L, 2);
  bool once = lua_toboolean(L, 3);
  lua_settop(L, 4);
  lua_pushnil(L), lua_pushnil(L); /* room for the first two results */
  lua_insert(L, 4), lua_insert(L, 4);
  gate = (struct gate){ .armed = true, .once = once, .kind = kind, .at = n };
  int status = lua_pcall(L, 0, LUA_MULTRET, 0);
  gate.armed = false;
  lua_pushboolean(L, gate.hit);
  lua_replace(L, 4);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 5);
  return lua_gettop(L) - 3;
}

/* seen(kind) -> number of allocations in the last attempt */
static int l_seen(lua_State *L) {
  lua_pushinteger(L, gate.seen[luaL_checkoption(L, 1, NULL, kinds)]);
  return 1;
}

static const luaL_Reg functions[] = {
  { "attempt", l_attempt },
  { "seen", l_seen },
  { NULL, NULL },
};

static int fail(lua_State *L) {
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  if (!ready()) return EXIT_FAILURE;
  lua_State *L = lua_newstate(lua_allocator, NULL);
  if (!L || argc < 2) return EXIT_FAILURE;
  luaL_openlibs(L);
  luaL_newlib(L, functions);
  lua_setglobal(L, "host");
  if (luaL_loadfile(L, argv[1]) != LUA_OK) return fail(L);
  for (int i = 2; i < argc; i++) lua_pushstring(L, argv[i]);
  if (lua_pcall(L, argc - 2, 0, 0) != LUA_OK) return fail(L);
  lua_close(L);
  return EXIT_SUCCESS;
}
