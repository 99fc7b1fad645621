/* All locks of the library are taken before a fork and released in parent and child. The
** order matters: a thread inside a parallel region may wait for the allocator. No thread
** that holds the allocator's lock waits for the pool. */
#define _GNU_SOURCE
#include "base/fork.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/kept.h"
#include "base/pool.h"

/* Many threads may read at once. A waiting writer (a fork) precedes later readers. */
#ifdef PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP
#define FAIR PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP
#else
#define FAIR PTHREAD_RWLOCK_INITIALIZER
#endif
static const pthread_rwlock_t fresh = FAIR;
static pthread_rwlock_t foreign = FAIR;

void df_foreign_begin(void) { pthread_rwlock_rdlock(&foreign); }

void df_foreign_end(void) { pthread_rwlock_unlock(&foreign); }

static void before(void) {
  df_pool_hold();
  pthread_rwlock_wrlock(&foreign);
  df_kept_hold();
  df_alloc_hold();
}

static void after_in_parent(void) {
  df_alloc_let_go();
  df_kept_let_go();
  pthread_rwlock_unlock(&foreign);
  df_pool_let_go();
}

static void after_in_child(void) {
  df_alloc_let_go();
  df_kept_let_go();
  foreign = fresh;
  df_pool_restart();
}

static void watch(void) { pthread_atfork(before, after_in_parent, after_in_child); }

void df_fork_watch(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch);
}
