/* Opens, locks and renames side files, and removes those left by killed processes. */
#define _DEFAULT_SOURCE /* flock */
#include "io/aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"

#define A_DAY    86400
#define PID_MOST 4194304 /* Linux's own limit */
#define TRIES    10000   /* names of one process for one file */
#define NAMES_MOST                                                                       \
  10000 /* names looked at in a folder, so that a save in a large one is quick */

static int world(const char *what) {
  return df_fail(DF_WORLD, "%s: %s", what, strerror(errno));
}

int df_aside_open(df_aside *a, const df_place *place) {
  /* private until it has the permissions of the file that it replaces */
  mode_t mode = place->kind == DF_PLACE_FILE ? 0600 : 0666;
  a->place = place;
  for (unsigned k = 0; k < TRIES; k++) {
    snprintf(a->path, sizeof a->path, "%s.%ld-%u", place->target, (long)getpid(), k);
    a->file = open(a->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (a->file < 0 && errno == EEXIST) continue;
    if (a->file < 0) break;
    /* fails on some file systems, which have no locks */
    flock(a->file, LOCK_EX | LOCK_NB);
    return DF_OK;
  }
  return world("can't be written");
}

/* ==== left by others ============================================================== */

/* An integer as printf writes it, in 0..most - 1; -1: none. Moves `at` behind it. */
static long number_at(const char **at, long most) {
  char *end;
  if (**at < '0' || **at > '9' || (**at == '0' && (*at)[1] >= '0' && (*at)[1] <= '9'))
    return -1;
  errno = 0;
  long n = strtol(*at, &end, 10);
  *at = end;
  return errno == 0 && n < most ? n : -1;
}

/* Could they be a year and a month, or a month and a day? */
static bool may_be_date(long a, long b) {
  return (a >= 1900 && a < 2200 && b >= 1 && b <= 12) || (a <= 31 && b >= 1 && b <= 31);
}

/* Is this name BASE.PID-k? One that may be a date is a user's own copy. */
static bool is_side_name(const char *name, const char *base) {
  size_t n = strlen(base);
  if (strncmp(name, base, n) != 0 || name[n] != '.') return false;
  const char *at = name + n + 1;
  long pid = number_at(&at, PID_MOST);
  if (pid < 1 || *at++ != '-') return false;
  long k = number_at(&at, TRIES);
  return k >= 0 && *at == 0 && !may_be_date(pid, k);
}

/* Ours, old, and still the same file once it is locked? */
static bool is_left(int folder, const char *name, int file, time_t now) {
  struct stat a, b;
  if (fstat(file, &a) != 0 || !S_ISREG(a.st_mode) || a.st_nlink != 1) return false;
  if (a.st_uid != geteuid() || now - a.st_mtime <= A_DAY) return false;
  if (flock(file, LOCK_EX | LOCK_NB) != 0) return false;
  return fstatat(folder, name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino
         && a.st_dev == b.st_dev;
}

static void remove_left(int folder, const char *name, time_t now) {
  int file = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return;
  if (is_left(folder, name, file, now)) unlinkat(folder, name, 0);
  close(file);
}

/* `now` by the clock of the folder's file system, which may differ from this
** machine's. */
static void remove_all_left(int folder, const char *base, time_t now) {
  int copy = fcntl(folder, F_DUPFD_CLOEXEC, 0); /* closedir closes it */
  DIR *dir = copy < 0 ? NULL : fdopendir(copy);
  if (!dir && copy >= 0) close(copy);
  if (!dir) return;
  struct dirent *e;
  for (int k = 0; k < NAMES_MOST && (e = readdir(dir)); k++)
    if (is_side_name(e->d_name, base)) remove_left(folder, e->d_name, now);
  closedir(dir);
}

/* ==== the end ======================================================================= */

/* The old file's permissions, and its owner if we may set it. Bits that run a program as
** its owner are dropped if the owner changes. */
static int dress(const df_aside *a) {
  struct stat own;
  const struct stat *old = &a->place->about;
  if (a->place->kind == DF_PLACE_NEW) return DF_OK;
  if (fstat(a->file, &own) != 0) return world("fstat");
  bool same = own.st_uid == old->st_uid && own.st_gid == old->st_gid;
  same = same || fchown(a->file, old->st_uid, old->st_gid) == 0;
  mode_t mode = old->st_mode & (same ? 07777 : 01777);
  return fchmod(a->file, mode) == 0 ? DF_OK : world("fchmod");
}

static int to_disk(const df_aside *a, time_t *now) {
  struct stat own;
  if (dress(a) != DF_OK) return DF_WORLD;
  if (fsync(a->file) != 0) return world("fsync");
  *now = fstat(a->file, &own) == 0 ? own.st_mtime : 0;
  return DF_OK;
}

/* A power cut may undo a rename until the folder is on the disk too. */
static void end_folder(const char *target, time_t now) {
  char folder[PATH_MAX];
  strcpy(folder, target);
  char *slash = strrchr(folder, '/');
  if (slash) slash[slash == folder] = 0;
  int file = open(slash ? folder : ".", O_RDONLY | O_CLOEXEC);
  if (file < 0) return; /* a folder that may be written to but not read */
  fsync(file);          /* some file systems can't; the rename has been done */
  remove_all_left(file, slash ? target + (slash - folder) + 1 : target, now);
  close(file);
}

int df_aside_close(df_aside *a, int code) {
  time_t now = 0;
  if (code == DF_OK) code = to_disk(a, &now);
  if (close(a->file) != 0 && code == DF_OK) code = world("close");
  if (code == DF_OK && rename(a->path, a->place->target) != 0) code = world("rename");
  if (code == DF_OK) end_folder(a->place->target, now);
  else unlink(a->path);
  return code;
}
