/* Writing aside, fsync, rename, fsync of the folder. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "io/write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define WRITE_MOST ((size_t)1 << 30) /* bytes of one write(), which may refuse more */

typedef struct aside {
  char target[PATH_MAX];    /* the file itself, links followed */
  char path[PATH_MAX + 32]; /* what is written meanwhile */
  int file;
} aside;

static int world(const char *what) {
  return df_fail(DF_WORLD, "%s: %s", what, strerror(errno));
}

/* Opens a file of a name that nobody has, in the target's folder: a rename works only
** within one file system. */
static int open_aside(aside *a, const char *path) {
  if (!realpath(path, a->target)) {
    if (strlen(path) >= sizeof a->target)
      return df_fail(DF_WORLD, "the name is too long");
    strcpy(a->target, path);
  }
  for (unsigned k = 0; k < 10000; k++) {
    snprintf(a->path, sizeof a->path, "%s.%ld-%u", a->target, (long)getpid(), k);
    a->file = open(a->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (a->file >= 0) return DF_OK;
    if (errno != EEXIST) break;
  }
  return world("can't be written");
}

static int write_part(int file, const df_part *p) {
  const char *at = p->data;
  for (size_t left = p->bytes; left > 0;) {
    ssize_t n = write(file, at, left < WRITE_MOST ? left : WRITE_MOST);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return world("write");
    at += n;
    left -= (size_t)n;
  }
  return DF_OK;
}

static int write_aside(const aside *a, const df_part *part, size_t parts) {
  struct stat old;
  if (stat(a->target, &old) == 0 && fchmod(a->file, old.st_mode & 07777) != 0)
    return world("fchmod");
  for (size_t k = 0; k < parts; k++)
    if (write_part(a->file, &part[k]) != DF_OK) return DF_WORLD;
  return fsync(a->file) == 0 ? DF_OK : world("fsync");
}

/* Until its folder is on the disk too, a power cut may undo a rename. */
static void sync_folder(const char *target) {
  char folder[PATH_MAX];
  strcpy(folder, target);
  char *slash = strrchr(folder, '/');
  if (slash) slash[slash == folder] = 0;
  int file = open(slash ? folder : ".", O_RDONLY | O_CLOEXEC);
  if (file < 0) return; /* a folder that may be written to but not read */
  fsync(file);          /* some file systems can't; the rename has been done */
  close(file);
}

int df_write_file(const char *path, const df_part *part, size_t parts) {
  aside a;
  if (open_aside(&a, path) != DF_OK) return DF_WORLD;
  int code = write_aside(&a, part, parts);
  if (close(a.file) != 0 && code == DF_OK) code = world("close");
  if (code == DF_OK && rename(a.path, a.target) != 0) code = world("rename");
  if (code == DF_OK) sync_folder(a.target);
  else unlink(a.path);
  return code;
}
