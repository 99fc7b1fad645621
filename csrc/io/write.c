/* Writes parts to a side file that takes the old one's place, or to a stream. */
#include "io/write.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "io/aside.h"
#include "io/place.h"
#include "io/quiet.h"

#define WRITE_MOST ((size_t)1 << 30) /* bytes of one write(); systems may refuse more */

static int world(const char *what) {
  return df_fail(DF_WORLD, "%s: %s", what, strerror(errno));
}

static int write_part(int file, const df_bytes *p) {
  const char *at = p->data;
  for (size_t left = p->bytes; left > 0;) {
    ssize_t n = df_write_quietly(file, at, left < WRITE_MOST ? left : WRITE_MOST);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return world("write");
    at += n;
    left -= (size_t)n;
  }
  return DF_OK;
}

static int write_parts(int file, const df_bytes *part, size_t parts) {
  for (size_t k = 0; k < parts; k++)
    if (write_part(file, &part[k]) != DF_OK) return DF_WORLD;
  return DF_OK;
}

static int write_stream(const df_place *place, const df_bytes *part, size_t parts) {
  int file;
  if (df_place_open_stream(&file, place) != DF_OK) return DF_WORLD;
  int code = write_parts(file, part, parts);
  if (close(file) != 0 && code == DF_OK) code = world("close");
  return code;
}

int df_write_file(const char *path, const df_bytes *part, size_t parts) {
  df_place place;
  df_aside aside;
  if (df_place_find(&place, path) != DF_OK) return DF_WORLD;
  if (place.kind == DF_PLACE_STREAM) return write_stream(&place, part, parts);
  if (df_aside_open(&aside, &place) != DF_OK) return DF_WORLD;
  return df_aside_close(&aside, write_parts(aside.file, part, parts));
}

int df_log_open(int *file, const char *path, bool anew) {
  df_place place;
  if (df_place_find(&place, path) != DF_OK) return DF_WORLD;
  if (place.kind == DF_PLACE_STREAM) return df_place_open_stream(file, &place);
  int how = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (anew ? O_TRUNC : 0);
  *file = open(place.target, how, 0666);
  return *file >= 0 ? DF_OK : world("can't be written");
}

int df_log_write(int file, const df_bytes *part) { return write_part(file, part); }

void df_log_close(int file) { close(file); }
