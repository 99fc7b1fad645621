/* Lists and makes folders through POSIX. Names are sorted by their bytes, whatever the
** file system's order. */
#include "io/folder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/error.h"

static bool is_folder(DIR *dir, const char *name) {
  struct stat about;
  return fstatat(dirfd(dir), name, &about, 0) == 0 && S_ISDIR(about.st_mode);
}

static int add(df_names *names, DIR *dir, const char *name) {
  size_t n = strlen(name);
  if (!df_room((void **)&names->name, names->count, &names->room, sizeof *names->name))
    return DF_MEMORY;
  char *copy = df_alloc(n + 2);
  if (!copy) return DF_MEMORY;
  memcpy(copy, name, n + 1);
  if (is_folder(dir, name)) memcpy(copy + n, "/", 2);
  names->name[names->count++] = copy;
  return DF_OK;
}

/* The '/' behind a folder's name doesn't count: "a/" comes before "a-b". */
static int by_bytes(const void *a, const void *b) {
  const char *x = *(char *const *)a, *y = *(char *const *)b;
  size_t n = strcspn(x, "/"), m = strcspn(y, "/");
  int order = memcmp(x, y, n < m ? n : m);
  return order ? order : (n > m) - (n < m);
}

static int no_room(void) {
  return df_fail(DF_MEMORY, "not enough memory for the names in a folder");
}

int df_folder_list(df_names *names, const char *path) {
  *names = (df_names){ 0 };
  DIR *dir = opendir(path);
  if (!dir && errno == ENOMEM) return no_room();
  if (!dir) return df_fail(DF_WORLD, "%s", strerror(errno));
  struct stat about;
  int code = DF_OK;
  if (fstat(dirfd(dir), &about) == 0)
    names->device = (uint64_t)about.st_dev, names->file = (uint64_t)about.st_ino;
  for (struct dirent *e; code == DF_OK && (e = readdir(dir));)
    if (e->d_name[0] != '.') code = add(names, dir, e->d_name);
  closedir(dir);
  if (code != DF_OK) {
    df_names_free(names);
    return code;
  }
  if (names->count > 0) qsort(names->name, names->count, sizeof *names->name, by_bytes);
  return DF_OK;
}

void df_names_free(df_names *names) {
  for (size_t k = 0; k < names->count; k++) df_free(names->name[k]);
  df_free(names->name);
  *names = (df_names){ 0 };
}

static int make(const char *path) {
  struct stat about;
  if (mkdir(path, 0777) == 0) return DF_OK;
  int code = errno;
  bool there = stat(path, &about) == 0;
  if (there && S_ISDIR(about.st_mode)) return DF_OK;
  if (there) code = ENOTDIR;
  return df_fail(DF_WORLD, "this folder can't be made: %s", strerror(code));
}

int df_folder_make(const char *path) {
  char above[PATH_MAX];
  size_t n = strlen(path);
  if (n >= PATH_MAX)
    return df_fail(DF_WORLD, "this folder can't be made: %s", strerror(ENAMETOOLONG));
  memcpy(above, path, n + 1);
  for (size_t i = 1; i < n; i++) {
    if (path[i] != '/') continue;
    above[i] = 0;
    if (make(above) != DF_OK) return DF_WORLD;
    above[i] = '/';
  }
  return make(path);
}
