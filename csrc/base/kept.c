/* The list of kept blocks, oldest use first, and the account of their bytes. No block is
** allocated or freed under the lock. */
#include "base/kept.h"

#include <pthread.h>

#include "base/alloc.h"

#define LEAST ((size_t)256 << 20) /* the default budget, at least */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static df_kept *oldest, *newest;
static size_t bytes_kept, adopted;
static size_t bytes_more; /* beyond those that the kept ones stand for */
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

static size_t beyond(size_t bytes, size_t instead) {
  return bytes > instead ? bytes - instead : 0;
}

/* Bytes that the budget counts. */
static size_t counted(size_t bytes, size_t instead) {
  return budget_set >= 0 ? bytes : beyond(bytes, instead);
}
static size_t counted_now(void) { return budget_set >= 0 ? bytes_kept : bytes_more; }

static void add_to_account(const df_kept *k) {
  bytes_kept += k->bytes;
  bytes_more += beyond(k->bytes, k->instead);
}

static void cut_from_account(const df_kept *k) {
  bytes_kept -= k->bytes;
  bytes_more -= beyond(k->bytes, k->instead);
}

/* 45 % of the adopted bytes: Stable Diffusion 1.5 then needs 1.6 times its files besides
** activations. */
static size_t budget(void) {
  if (budget_set >= 0) return (size_t)budget_set;
  size_t share = adopted / 20 * 9;
  return share > LEAST ? share : LEAST;
}

/* Counted bytes of blocks without readers that were last used before `since`. */
static size_t spare_bytes(uint64_t since) {
  size_t bytes = 0;
  for (df_kept *k = oldest; k && k->used < since; k = k->newer)
    if (k->readers == 0) bytes += counted(k->bytes, k->instead);
  return bytes;
}

/* Takes out the oldest block without readers. The caller frees it. */
static void *cut_oldest(void) {
  df_kept *k = oldest;
  while (k && k->readers > 0) k = k->newer;
  if (!k) return NULL;
  void *data = k->data;
  unlink_kept(k);
  cut_from_account(k);
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
  return more <= budget() && counted_now() <= budget() - more;
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

/* True if the budget has the counted bytes, or gets them from blocks older than `since`.
*/
static bool may_have(size_t more, uint64_t since) {
  return more <= budget() && counted_now() - spare_bytes(since) <= budget() - more;
}

void *df_kept_make(df_kept *k, size_t bytes, size_t instead) {
  pthread_mutex_lock(&lock);
  size_t more = counted(bytes, instead);
  bool may = may_have(more, k->before);
  pthread_mutex_unlock(&lock);
  if (!may) return NULL;
  drop_oldest(fits, more);
  void *data = df_alloc_if_free(bytes);
  if (!data) return NULL;
  df_alloc_spare_from(spare);
  pthread_mutex_lock(&lock);
  k->data = data, k->bytes = bytes, k->instead = instead, k->readers = 1;
  add_to_account(k);
  link_newest(k);
  pthread_mutex_unlock(&lock);
  return data;
}

size_t df_kept_stands_for(df_kept *k) {
  pthread_mutex_lock(&lock);
  size_t bytes = k->data ? k->instead : 0;
  pthread_mutex_unlock(&lock);
  return bytes;
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
    cut_from_account(k);
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
