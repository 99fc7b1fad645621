/* Follows paths to their ends: an existing file, or the missing target of a link. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "io/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define LINKS_MOST 40 /* as many as Linux follows */

static int fail(int code) {
  return df_fail(DF_WORLD, "can't be written: %s", strerror(code));
}

static int something(df_place *p, const char *path) {
  mode_t mode = p->about.st_mode;
  if (S_ISDIR(mode)) return df_fail(DF_WORLD, "can't be written: it is a folder");
  if (S_ISREG(mode)) {
    p->kind = DF_PLACE_FILE;
    return realpath(path, p->target) ? DF_OK : fail(errno);
  }
  if (!S_ISFIFO(mode) && !S_ISCHR(mode))
    return df_fail(DF_WORLD, "can't be written: it is a %s",
                   S_ISSOCK(mode) ? "socket" : "disk");
  p->kind = DF_PLACE_STREAM;
  strcpy(p->target, path);
  return DF_OK;
}

/* Puts the path `to`, read as a link in the folder of `target`, into target. */
static int step(char *target, const char *to) {
  const char *slash = strrchr(target, '/');
  size_t folder = to[0] == '/' || !slash ? 0 : (size_t)(slash - target) + 1;
  if (folder + strlen(to) >= PATH_MAX) return fail(ENAMETOOLONG);
  strcpy(target + folder, to);
  return DF_OK;
}

/* No file exists: the place is the path itself, or the missing target of its link. */
static int nothing(df_place *p, const char *path) {
  char to[PATH_MAX];
  p->kind = DF_PLACE_NEW;
  strcpy(p->target, path);
  for (int k = 0; k < LINKS_MOST; k++) {
    ssize_t n = readlink(p->target, to, sizeof to - 1);
    if (n < 0) break;
    to[n] = 0;
    if (step(p->target, to) != DF_OK) return DF_WORLD;
  }
  size_t n = strlen(p->target);
  if (n == 0) return fail(ENOENT);
  if (p->target[n - 1] == '/')
    return df_fail(DF_WORLD, "can't be written: a name ending in / is a folder's");
  return DF_OK;
}

int df_place_find(df_place *p, const char *path) {
  if (strlen(path) >= PATH_MAX) return fail(ENAMETOOLONG);
  if (stat(path, &p->about) == 0) return something(p, path);
  return errno == ENOENT ? nothing(p, path) : fail(errno);
}

int df_place_open_stream(int *file, const df_place *p) {
  const struct timespec pause = { 0, 20000000 };
  for (int k = 0;; k++) { /* without a reader, a blocking open would wait for ever */
    *file = open(p->target, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*file >= 0 || errno != ENXIO || !S_ISFIFO(p->about.st_mode)) break;
    if (k == 50) return df_fail(DF_WORLD, "can't be written: no process reads this pipe");
    nanosleep(&pause, NULL);
  }
  if (*file < 0) return fail(errno);
  fcntl(*file, F_SETFL, fcntl(*file, F_GETFL) & ~O_NONBLOCK);
  return DF_OK;
}
