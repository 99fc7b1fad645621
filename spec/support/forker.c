/* forker(text, children, seconds, work): a second Lua state runs `text`, a loop, in its
** own thread, while this state forks `children` times. Each child calls work() and ends.
** Returns how many ended within the seconds. The thread's loop ends when the global
** function stop() of its state returns true. */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int stopped, ready;

static int l_stop(lua_State *L) {
  atomic_store(&ready, 1);
  lua_pushboolean(L, atomic_load(&stopped));
  return 1;
}

static void *second(void *text) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_register(L, "stop", l_stop);
  bool fine = luaL_dostring(L, text) == LUA_OK;
  if (!fine) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  atomic_store(&ready, 1);
  lua_close(L);
  return fine ? text : NULL;
}

/* Returns 0 if the child ended before the alarm. */
static int child(lua_State *L, unsigned seconds) {
  int how = 1;
  pid_t pid = fork();
  if (pid == 0) {
    alarm(seconds);
    lua_pushvalue(L, 4);
    _exit(lua_pcall(L, 0, 0, 0) == LUA_OK ? 0 : 1);
  }
  if (pid > 0) waitpid(pid, &how, 0);
  return how;
}

static int forker(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  lua_Integer children = luaL_checkinteger(L, 2), ended = 0;
  unsigned seconds = (unsigned)luaL_checkinteger(L, 3);
  pthread_t thread;
  void *fine = NULL;
  atomic_store(&stopped, 0);
  atomic_store(&ready, 0);
  if (pthread_create(&thread, NULL, second, (void *)text) != 0)
    return luaL_error(L, "no thread");
  while (!atomic_load(&ready)) usleep(100);
  for (lua_Integer i = 0; i < children && ended == i; i++)
    ended += child(L, seconds) == 0;
  atomic_store(&stopped, 1);
  pthread_join(thread, &fine);
  if (!fine) return luaL_error(L, "the second state failed");
  lua_pushinteger(L, ended);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_forker(lua_State *L);

int luaopen_forker(lua_State *L) {
  lua_pushcfunction(L, forker);
  return 1;
}
