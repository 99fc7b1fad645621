/* Mapped files: private pages of a file opened for reading. */
#define _DEFAULT_SOURCE /* MAP_NORESERVE */
#include "io/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

static df_code map_pages(df_map *m, int file) {
  struct stat about;
  if (fstat(file, &about) != 0) return df_fail(DF_WORLD, "%s", strerror(errno));
  if (!S_ISREG(about.st_mode)) return df_fail(DF_WORLD, "not a regular file");
  m->bytes = (size_t)about.st_size;
  if (m->bytes == 0) return DF_OK;
  /* writable and private: a tensor that stands on a file may be changed in place */
  void *p =
      mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
  if (p == MAP_FAILED) return df_fail(DF_WORLD, "mmap: %s", strerror(errno));
  m->data = p;
  return DF_OK;
}

df_map *df_map_open(const char *path) {
  df_map *m = calloc(1, sizeof *m);
  if (!m) return df_fail_null(DF_MEMORY, "not enough memory for a mapping's head");
  m->refs = 1;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not wait */
  df_code code = file < 0 ? df_fail(DF_WORLD, "%s", strerror(errno)) : map_pages(m, file);
  if (file >= 0) close(file);
  if (code == DF_OK) return m;
  free(m);
  return NULL;
}

df_map *df_map_retain(df_map *m) {
  m->refs++;
  return m;
}

void df_map_release(void *map) {
  df_map *m = map;
  if (!m || --m->refs > 0) return;
  if (m->data) munmap(m->data, m->bytes);
  free(m);
}

uint8_t *df_map_window(const df_map *m, size_t offset, size_t bytes) {
  static uint8_t nothing[1];
  if (offset > m->bytes || bytes > m->bytes - offset)
    return df_fail_null(DF_WORLD, "bytes %zu to %zu asked for, file holds %zu", offset,
                        offset + bytes, m->bytes);
  return m->data ? m->data + offset : nothing;
}
