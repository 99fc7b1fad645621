/* Small blocks have size classes, four to every power of two, each with a list of freed
** blocks. Large blocks come from the arena. Without pooling, a loop that creates and
** drops tensors spends its time in page faults. */
#include "base/alloc.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

#define CLASSES    64
#define LARGE      ((size_t)32 << 10) /* larger blocks come from the arena */
#define BLOCK_MAX  ((size_t)1 << 48)  /* no machine has more */
#define POOLED_MAX ((size_t)1 << 30)  /* above this, unused memory is freed */

#ifdef __SANITIZE_ADDRESS__
#define EXACT true /* no pool: ASan must see each block's end and its free */
#else
#define EXACT false
#endif

typedef struct block { /* header before every small block */
  struct block *next;
  size_t bytes; /* size of the class, without this header */
} block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static block *kept[CLASSES];
static df_memory now;
static size_t small_pooled, large; /* pooled in lists; in use from the arena */

/* The last int before any block is its class. */
#define OF_ARENA (-1)
_Static_assert(sizeof(block) <= DF_ALIGN - sizeof(int), "the class has room in the line");

static int *class_at(void *memory) { return (int *)memory - 1; }

static block *line_before(void *memory) {
  return (block *)(void *)((char *)memory - DF_ALIGN);
}

/* Returns the class of a size and rounds the size up: 64, 80, 96, 112, 128, 160, 192,
** ... */
static int class_of(size_t bytes, size_t *rounded) {
  size_t base = 64;
  int class = 0;
  while (base * 2 <= bytes) base *= 2, class += 4;
  size_t quarter = base / 4;
  size_t over = bytes > base ? (bytes - base + quarter - 1) / quarter : 0;
  *rounded = base + over * quarter;
  return class + (int)over;
}

/* ==== allocation under the lock ===================================================== */

static void *fresh(size_t bytes, int class) {
  void *memory;
  if (posix_memalign(&memory, DF_ALIGN, DF_ALIGN + bytes) != 0) return NULL;
  block *b = memory;
  b->bytes = bytes;
  memory = (char *)memory + DF_ALIGN;
  *class_at(memory) = class;
  now.fresh++;
  now.live += bytes;
  return memory;
}

static void *take_small(size_t bytes) {
  size_t rounded;
  int class = class_of(bytes, &rounded);
  block *b = kept[class];
  if (!b) return fresh(rounded, class);
  kept[class] = b->next;
  small_pooled -= b->bytes;
  now.live += b->bytes;
  return (char *)b + DF_ALIGN;
}

static void *take_large(size_t bytes) {
  size_t got, before = df_arena_touched();
  void *memory = df_arena_take(bytes, &got);
  if (!memory) return NULL;
  *class_at(memory) = OF_ARENA;
  now.fresh += df_arena_touched() > before;
  now.live += got;
  large += got;
  return memory;
}

static void *take(size_t bytes) {
  if (EXACT) return fresh(bytes, 0);
  return bytes < LARGE ? take_small(bytes) : take_large(bytes);
}

static void trim(void) {
  for (int class = 0; class < CLASSES; class ++)
    for (block *b = kept[class]; b; b = kept[class]) {
      kept[class] = b->next;
      free(b);
    }
  small_pooled = 0;
  df_arena_trim();
}

static void count_pooled(void) { now.pooled = small_pooled + df_arena_touched() - large; }

/* A test program defines this to make allocations fail (spec/support/alloc_host.c). In
** any other program it is NULL. */
extern bool df_alloc_fails(void) __attribute__((weak, visibility("default")));

/* ==== public functions ============================================================== */

static size_t (*spare_of)(size_t bytes);

static bool within_limit(size_t bytes) {
  return bytes <= BLOCK_MAX && (!now.limit || now.live + bytes <= now.limit);
}

/* A block or NULL; and the counters then, and who might spare some if it was short. */
static void *allocate(size_t bytes, df_memory *m, size_t (**spare)(size_t bytes)) {
  void *memory = NULL;
  pthread_mutex_lock(&lock);
  bool refused = df_alloc_fails && df_alloc_fails();
  if (within_limit(bytes) && !refused) {
    memory = take(bytes);
    if (!memory) trim(), memory = take(bytes);
  }
  now.blocks += memory != NULL;
  if (now.live > now.peak) now.peak = now.live;
  *m = now, *spare = refused ? NULL : spare_of;
  pthread_mutex_unlock(&lock);
  return memory;
}

void *df_alloc_if_free(size_t bytes) {
  df_memory m;
  size_t (*spare)(size_t);
  return allocate(bytes, &m, &spare);
}

/* "2.5 MiB", or "12 bytes". */
static const char *size_text(size_t bytes, char text[32]) {
  static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB" };
  double size = (double)bytes / 1024;
  int i = 0;
  for (; i < 3 && size >= 1024; i++) size /= 1024;
  if (bytes < 1024) snprintf(text, 32, "%zu bytes", bytes);
  else snprintf(text, 32, "%.1f %s", size, unit[i]);
  return text;
}

static void *short_of(size_t bytes, const df_memory *m) {
  char wanted[32], live[32], limit[32];
  size_text(bytes, wanted), size_text(m->live, live), size_text(m->limit, limit);
  if (m->limit)
    return df_fail_null(DF_MEMORY, "not enough memory: %s requested, %s in use, limit %s",
                        wanted, live, limit);
  return df_fail_null(DF_MEMORY,
                      "not enough memory: %s requested, %s in use; no limit is set",
                      wanted, live);
}

void *df_alloc(size_t bytes) {
  df_memory m;
  size_t (*spare)(size_t);
  void *memory = allocate(bytes, &m, &spare);
  if (!memory && spare && spare(bytes) > 0) memory = allocate(bytes, &m, &spare);
  if (memory) return memory;
  return short_of(bytes, &m);
}

void *df_alloc_zeros(size_t bytes) {
  void *memory = df_alloc(bytes);
  return memory ? memset(memory, 0, bytes) : NULL;
}

bool df_room(void **list, size_t n, size_t *have, size_t width) {
  if (n < *have) return true;
  size_t more = *have ? *have * 2 : 64;
  void *grown = df_alloc(more * width);
  if (!grown) return false;
  if (n > 0) memcpy(grown, *list, n * width);
  df_free(*list);
  *list = grown;
  *have = more;
  return true;
}

static void give_small(void *memory) {
  block *b = line_before(memory);
  now.live -= b->bytes;
  if (EXACT) {
    free(b);
    return;
  }
  small_pooled += b->bytes;
  b->next = kept[*class_at(memory)];
  kept[*class_at(memory)] = b;
}

static void give_large(void *memory) {
  size_t bytes = df_arena_give(memory);
  now.live -= bytes;
  large -= bytes;
}

void df_free(void *memory) {
  if (!memory) return;
  pthread_mutex_lock(&lock);
  if (*class_at(memory) == OF_ARENA) give_large(memory);
  else give_small(memory);
  now.blocks--;
  count_pooled();
  if (now.pooled > POOLED_MAX) trim();
  pthread_mutex_unlock(&lock);
}

df_memory df_memory_now(void) {
  pthread_mutex_lock(&lock);
  count_pooled();
  df_memory copy = now;
  pthread_mutex_unlock(&lock);
  return copy;
}

void df_memory_limit(size_t bytes) {
  pthread_mutex_lock(&lock);
  now.limit = bytes;
  pthread_mutex_unlock(&lock);
}

void df_memory_reset_peak(void) {
  pthread_mutex_lock(&lock);
  now.peak = now.live;
  pthread_mutex_unlock(&lock);
}

void df_alloc_spare_from(size_t (*spare)(size_t bytes)) {
  pthread_mutex_lock(&lock);
  spare_of = spare;
  pthread_mutex_unlock(&lock);
}

void df_alloc_advise_by(void (*advise)(void *memory, size_t bytes)) {
  pthread_mutex_lock(&lock);
  df_arena_advise_by(advise);
  pthread_mutex_unlock(&lock);
}

void df_alloc_hold(void) { pthread_mutex_lock(&lock); }

void df_alloc_let_go(void) { pthread_mutex_unlock(&lock); }
