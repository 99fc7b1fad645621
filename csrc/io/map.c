/* Maps files: private pages of a file opened for reading. */
#define _DEFAULT_SOURCE /* MAP_NORESERVE, madvise */
#include "io/map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

static df_map *map_new(void) {
  df_map *m = df_alloc_zeros(sizeof *m);
  if (m) m->refs = 1;
  return m;
}

static void unmap(df_map *m) { munmap(m->data, m->bytes); }
static void give_back(df_map *m) { df_free(m->data); }
static void let_go(df_map *m) { df_map_release(m->whole); }
static void nothing(df_map *m) { (void)m; }

/* Checks that it is a regular file; m becomes an empty mapping, *bytes its size. */
static df_code head(df_map *m, int file, size_t *bytes) {
  static uint8_t empty[1]; /* mmap refuses an empty file */
  struct stat about;
  if (fstat(file, &about) != 0) return df_fail(DF_WORLD, "%s", strerror(errno));
  if (S_ISDIR(about.st_mode)) return df_fail(DF_WORLD, "a folder, not a file");
  if (!S_ISREG(about.st_mode)) return df_fail(DF_WORLD, "not a regular file");
  *m = (df_map){ .refs = 1, .data = empty, .release = nothing };
  *bytes = (size_t)about.st_size;
  return DF_OK;
}

static df_code map_pages(df_map *m, int file, size_t bytes) {
  /* writable and private: a tensor on a file may be changed in place */
  void *p =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
  if (p == MAP_FAILED) return df_fail(DF_WORLD, "mmap: %s", strerror(errno));
  m->bytes = bytes;
  m->data = p;
  m->release = unmap;
  m->clean = true;
  return DF_OK;
}

static df_code read_bytes(uint8_t *to, int file, size_t bytes) {
  for (size_t had = 0; had < bytes;) {
    ssize_t n = read(file, to + had, bytes - had);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return df_fail(DF_WORLD, "read: %s", strerror(errno));
    if (n == 0) return df_fail(DF_WORLD, "cut to %zu of %zu bytes meanwhile", had, bytes);
    had += (size_t)n;
  }
  return DF_OK;
}

static df_code read_pages(df_map *m, int file, size_t bytes) {
  m->data = df_alloc(bytes);
  if (!m->data) return DF_MEMORY;
  m->bytes = bytes;
  m->release = give_back;
  df_code code = read_bytes(m->data, file, bytes);
  if (code != DF_OK) df_free(m->data);
  return code;
}

typedef df_code filler(df_map *m, int file, size_t bytes);

static df_map *open_with(const char *path, filler *fill) {
  df_map *m = map_new();
  if (!m) return NULL;
  size_t bytes = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not wait */
  df_code code =
      file < 0 ? df_fail(DF_WORLD, "%s", strerror(errno)) : head(m, file, &bytes);
  if (code == DF_OK && bytes > 0) code = fill(m, file, bytes);
  if (file >= 0) close(file);
  if (code == DF_OK) return m;
  df_free(m);
  return NULL;
}

df_map *df_map_open(const char *path) { return open_with(path, map_pages); }

df_map *df_map_copy(const char *path) { return open_with(path, read_pages); }

df_map *df_map_part(df_map *m, size_t offset, size_t bytes) {
  uint8_t *data = df_map_window(m, offset, bytes);
  df_map *part = data ? map_new() : NULL;
  if (!part) return NULL;
  part->bytes = bytes;
  part->data = data;
  part->release = let_go;
  part->whole = df_map_retain(m);
  return part;
}

df_map *df_map_memory(size_t bytes) {
  df_map *m = map_new();
  uint8_t *data = m ? df_alloc(bytes) : NULL;
  if (!data) {
    df_free(m);
    return NULL;
  }
  m->bytes = bytes;
  m->data = data;
  m->release = give_back;
  return m;
}

df_map *df_map_retain(df_map *m) {
  m->refs++;
  return m;
}

void df_map_release(void *map) {
  df_map *m = map;
  if (!m || --m->refs > 0) return;
  m->release(m);
  df_free(m);
}

static df_map *whole_of(df_map *m) {
  while (m->whole) m = m->whole;
  return m;
}

void df_map_written(void *map) { whole_of(map)->clean = false; }

/* Only pages that lie in the range whole. A written page has no other copy. */
size_t df_map_pages(void *map, void *data, size_t bytes, bool let_go) {
#ifdef MADV_DONTNEED
  if (!whole_of(map)->clean) return 0;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t from = ((uintptr_t)data + page - 1) / page * page;
  uintptr_t to = ((uintptr_t)data + bytes) / page * page;
  if (to <= from) return 0;
  if (let_go) madvise((void *)from, to - from, MADV_DONTNEED);
  return to - from;
#else
  (void)map, (void)data, (void)bytes, (void)let_go;
  return 0;
#endif
}

uint8_t *df_map_window(const df_map *m, size_t offset, size_t bytes) {
  if (offset <= m->bytes && bytes <= m->bytes - offset) return m->data + offset;
  return df_fail_null(DF_WORLD, "%zu bytes at %zu wanted, file holds %zu", bytes, offset,
                      m->bytes);
}

void df_map_huge(void *memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(memory, bytes, MADV_HUGEPAGE);
#else
  (void)memory, (void)bytes;
#endif
}
