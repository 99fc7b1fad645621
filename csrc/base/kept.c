/* The list of kept blocks, oldest use first, and the account of their bytes. No block is
** allocated or freed under the lock. */
#include "base/kept.h"

#include <pthread.h>

#include "base/alloc.h"

#define LEAST ((size_t)256 << 20) /* the default budget, at least */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static df_kept *oldest, *newest;
static size_t bytes_kept, adopted;
static df_int budget_set = -1;
static uint64_t uses; /* calls of df_kept_take, as a clock */

/* ==== under the lock ================================================================ */

static void link_newest(df_kept *k) {
  k->newer = NULL, k->older = newest;
  if (newest) newest->newer = k;
  else oldest = k;
  newest = k;
}

static void unlink_kept(df_kept *k) {
  if (k->older) k->older->newer = k->newer;
  else oldest = k->newer;
  if (k->newer) k->newer->older = k->older;
  else newest = k->older;
}

/* 45 % of the adopted bytes: Stable Diffusion 1.5 then needs 1.6 times its files besides
** activations. */
static size_t budget(void) {
  if (budget_set >= 0) return (size_t)budget_set;
  size_t share = adopted / 20 * 9;
  return share > LEAST ? share : LEAST;
}

/* Bytes of blocks without readers that were last used before `since`. */
static size_t spare_bytes(uint64_t since) {
  size_t bytes = 0;
  for (df_kept *k = oldest; k && k->used < since; k = k->newer)
    if (k->readers == 0) bytes += k->bytes;
  return bytes;
}

/* Takes out the oldest block without readers. The caller frees it. */
static void *cut_oldest(void) {
  df_kept *k = oldest;
  while (k && k->readers > 0) k = k->newer;
  if (!k) return NULL;
  void *data = k->data;
  unlink_kept(k);
  bytes_kept -= k->bytes;
  k->data = NULL;
  return data;
}

/* ==== dropping ===================================================================== */

/* Frees the oldest blocks until `enough` is true. Returns their bytes. */
static size_t drop_oldest(bool (*enough)(size_t done, size_t wanted), size_t wanted) {
  size_t done = 0;
  for (void *data;;) {
    pthread_mutex_lock(&lock);
    size_t before = bytes_kept;
    data = enough(done, wanted) ? NULL : cut_oldest();
    done += before - bytes_kept;
    pthread_mutex_unlock(&lock);
    if (!data) return done;
    df_free(data);
  }
}

static bool is_enough(size_t done, size_t wanted) { return done >= wanted; }

static size_t spare(size_t bytes) { return drop_oldest(is_enough, bytes); }

static bool fits(size_t done, size_t more) {
  (void)done;
  return more <= budget() && bytes_kept <= budget() - more;
}

/* ==== public functions ============================================================== */

void *df_kept_take(df_kept *k) {
  pthread_mutex_lock(&lock);
  k->before = k->used, k->used = ++uses;
  if (k->data) {
    unlink_kept(k);
    link_newest(k);
    k->readers++;
  }
  void *data = k->data;
  pthread_mutex_unlock(&lock);
  return data;
}

/* True if the budget has the bytes, or gets them from blocks older than `since`. */
static bool may_have(size_t bytes, uint64_t since) {
  pthread_mutex_lock(&lock);
  bool may = bytes <= budget() && bytes_kept - spare_bytes(since) <= budget() - bytes;
  pthread_mutex_unlock(&lock);
  return may;
}

void *df_kept_make(df_kept *k, size_t bytes) {
  if (!may_have(bytes, k->before)) return NULL;
  drop_oldest(fits, bytes);
  void *data = df_alloc_if_free(bytes);
  if (!data) return NULL;
  df_alloc_spare_from(spare);
  pthread_mutex_lock(&lock);
  k->data = data, k->bytes = bytes, k->readers = 1;
  bytes_kept += bytes;
  link_newest(k);
  pthread_mutex_unlock(&lock);
  return data;
}

void df_kept_give(df_kept *k) {
  pthread_mutex_lock(&lock);
  k->readers--;
  pthread_mutex_unlock(&lock);
}

void df_kept_end(df_kept *k) {
  pthread_mutex_lock(&lock);
  void *data = k->data;
  if (data) {
    unlink_kept(k);
    bytes_kept -= k->bytes;
    k->data = NULL;
  }
  pthread_mutex_unlock(&lock);
  df_free(data);
}

void df_kept_adopted(df_int bytes) {
  pthread_mutex_lock(&lock);
  adopted += (size_t)bytes;
  pthread_mutex_unlock(&lock);
  drop_oldest(fits, 0);
}

void df_kept_set_budget(df_int bytes) {
  pthread_mutex_lock(&lock);
  budget_set = bytes;
  pthread_mutex_unlock(&lock);
  drop_oldest(fits, 0);
}

df_kept_account df_kept_now(void) {
  pthread_mutex_lock(&lock);
  df_kept_account a = { bytes_kept, budget() };
  pthread_mutex_unlock(&lock);
  return a;
}

void df_kept_hold(void) { pthread_mutex_lock(&lock); }

void df_kept_let_go(void) { pthread_mutex_unlock(&lock); }
