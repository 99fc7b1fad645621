/* Each region publishes a task. Every thread, including the caller, works on its own run
** of chunks and then takes chunks from other runs. Idle threads spin briefly, since the
** next region of a network follows within microseconds. Then they sleep. */
#define _GNU_SOURCE
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 256
#define SPINS       4000 /* about 50 microseconds */

typedef struct region {
  df_task *task;
  void *context;
  df_int n, grain, chunks;
  int threads;
} region;

/* The next chunk of each thread's run. A thread starts at the same images in each op, so
** they are still in its cache. */
static struct run { _Alignas(DF_ALIGN) atomic_ptrdiff_t next; } runs[THREADS_MAX];

static struct pool {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t thread[THREADS_MAX];
  int started;         /* workers that exist */
  atomic_ulong serial; /* counts regions; workers wait for a change */
  atomic_int inside;   /* workers that may still touch the region */
  int sleeping;
  atomic_int cpu; /* the CPU that opens the region; -1: not known */
  region work;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER; /* one region at a time */
static atomic_int wanted;                                /* threads, 0: not set yet */
static atomic_ullong regions, split;

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

/* CPUs that the control group's quota allows, rounded up; 0: no quota. */
static int quota(void) {
  FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
  if (!f) return 0;
  double most = 0, period = 0;
  int read = fscanf(f, "%lf %lf", &most, &period); /* "max 100000" reads nothing */
  fclose(f);
  return read == 2 && period > 0 ? (int)(most / period + 0.999) : 0;
}

static int allowed(void) {
  int count = 1;
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
#else
  count = (int)sysconf(_SC_NPROCESSORS_ONLN);
#endif
  int most = quota();
  return most > 0 && most < count ? most : count;
}

df_code df_threads_choose(void) {
  const char *text = getenv("DIFFUSION_THREADS");
  if (atomic_load(&wanted) > 0) return DF_OK;
  if (!text || !*text) return df_threads_set(allowed()), DF_OK;
  char *end;
  long count = strtol(text, &end, 10); /* overflow gives LONG_MAX */
  if (*end || count < 1 || count > THREADS_MAX)
    return df_fail(DF_MISUSE, "DIFFUSION_THREADS=%.40s: expected an integer from 1 to %d",
                   text, THREADS_MAX);
  df_threads_set((int)count);
  return DF_OK;
}

int df_threads(void) {
  if (atomic_load(&wanted) == 0) df_threads_set(allowed());
  return atomic_load(&wanted);
}

void df_threads_set(int count) {
  atomic_store(&wanted, count < 1 ? 1 : count > THREADS_MAX ? THREADS_MAX : count);
}

/* Takes the remaining chunks of a run. Returns true if it took any. */
static bool work_run(const region *r, int number) {
  df_int end = (number + 1) * r->chunks / r->threads;
  bool any = false;
  for (;;) {
    df_int chunk = atomic_fetch_add(&runs[number].next, 1);
    if (chunk >= end) return any;
    df_int begin = chunk * r->grain;
    r->task(r->context, begin, df_min(begin + r->grain, r->n));
    any = true;
  }
}

static bool work(const region *r, int me) {
  bool any = false;
  for (int i = 0; i < r->threads; i++) any |= work_run(r, (me + i) % r->threads);
  return any;
}

#ifdef __linux__
static int this_cpu(void) { return sched_getcpu(); }

/* Leaves the CPU of the thread that opens the region. A system may wake a worker there,
** though another CPU is idle. On a virtual machine of two CPUs, one process of five was
** half as fast for its first 20 to 90 ms. With this, none of 54 was. */
static void step_aside(void) {
  int cpu = this_cpu();
  cpu_set_t all, others;
  if (cpu < 0 || cpu >= CPU_SETSIZE || cpu != atomic_load(&pool.cpu)) return;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  others = all;
  CPU_CLR((size_t)cpu, &others);
  if (CPU_COUNT(&others) < df_threads() - 1) return;
  if (sched_setaffinity(0, sizeof others, &others) == 0)
    sched_setaffinity(0, sizeof all, &all);
}
#else
static int this_cpu(void) { return -1; }
static void step_aside(void) {}
#endif

/* Waits until the serial differs from `seen`: spins, then sleeps. */
static void wait_for_work(unsigned long seen) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load(&pool.serial) != seen) return;
    relax();
  }
  pthread_mutex_lock(&pool.lock);
  pool.sleeping++;
  while (atomic_load(&pool.serial) == seen) pthread_cond_wait(&pool.wake, &pool.lock);
  pool.sleeping--;
  pthread_mutex_unlock(&pool.lock);
}

static void *worker(void *number) {
  unsigned long seen = 0;
  int me = (int)(intptr_t)number;
  for (;;) {
    wait_for_work(seen);
    step_aside();
    atomic_fetch_add(&pool.inside, 1);
    seen = atomic_load(&pool.serial);
    if ((seen & 1) && me < pool.work.threads && work(&pool.work, me))
      atomic_fetch_add(&split, 1);
    atomic_fetch_sub(&pool.inside, 1);
  }
  return NULL; /* not reached */
}

/* Waits until no region is active. */
void df_pool_hold(void) { pthread_mutex_lock(&busy); }

void df_pool_let_go(void) { pthread_mutex_unlock(&busy); }

/* The child has no worker threads, so it starts from scratch. */
void df_pool_restart(void) {
  pthread_mutex_init(&busy, NULL);
  pthread_mutex_init(&pool.lock, NULL);
  pthread_cond_init(&pool.wake, NULL);
  pool.started = pool.sleeping = 0;
  atomic_store(&pool.inside, 0);
  atomic_store(&pool.serial, 0);
}

/* Starts missing workers. With fewer threads than requested, work is slower but
** correct. */
static void start(int count) {
  while (pool.started < count - 1) {
    void *number = (void *)(intptr_t)(pool.started + 1);
    if (pthread_create(&pool.thread[pool.started], NULL, worker, number) != 0) return;
    pthread_detach(pool.thread[pool.started]);
    pool.started++;
  }
}

/* The serial is odd while a region is open. A worker that looks later stays out. */
static void publish(void) {
  pthread_mutex_lock(&pool.lock);
  atomic_store(&pool.cpu, this_cpu());
  atomic_fetch_add(&pool.serial, 1);
  if (pool.sleeping > 0) pthread_cond_broadcast(&pool.wake);
  pthread_mutex_unlock(&pool.lock);
}

/* No worker may touch the region any more. This waits for the last chunks. A worker may
** have been preempted, so a long wait yields the processor. */
static void retire(void) {
  atomic_fetch_add(&pool.serial, 1);
  for (int i = 0; atomic_load(&pool.inside) > 0; i++) {
    if (i < SPINS) relax();
    else sched_yield();
  }
}

static void alone(df_int n, df_int grain, df_task *task, void *context) {
  for (df_int begin = 0; begin < n; begin += grain)
    task(context, begin, df_min(begin + grain, n));
}

void df_parallel(df_int n, df_int grain, df_task *task, void *context) {
  if (n <= 0) return;
  if (grain < 1) grain = 1;
  atomic_fetch_add(&regions, 1);
  int count = df_threads();
  if (count == 1 || n <= grain || pthread_mutex_trylock(&busy) != 0) {
    alone(n, grain, task, context);
    return;
  }
  start(count);
  pool.work = (region){ task, context, n, grain, df_ceil_div(n, grain), count };
  for (int i = 0; i < count; i++)
    atomic_store_explicit(&runs[i].next, i * pool.work.chunks / count,
                          memory_order_relaxed);
  publish();
  work(&pool.work, 0);
  retire();
  pthread_mutex_unlock(&busy);
}

df_pool_counts df_pool_counted(void) {
  df_pool_counts counts = { atomic_load(&regions), atomic_load(&split) };
  return counts;
}
