/* Blocks by size class: four classes to every power of two, so at most a quarter of a
** block is slack. Freed blocks wait on their class's list: without that, a loop that
** makes and drops tensors spends its time in page faults. */
#include "base/alloc.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"

#define CLASSES    200
#define BLOCK_MAX  ((size_t)1 << 48) /* no machine has more: class 168 */
#define POOLED_MAX ((size_t)1 << 30) /* beyond this a freed block goes back at once */

#ifdef __SANITIZE_ADDRESS__
#define EXACT true /* no pool: ASan has to see where each block ends, and when */
#else
#define EXACT false
#endif

typedef struct block { /* the line before every block */
  struct block *next;
  size_t bytes; /* of the class, without this header */
  int class;
} block;

_Static_assert(sizeof(block) <= DF_ALIGN, "the header fits the line before the block");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static block *list[CLASSES];
static df_memory now;

/* The class of a size, and its bytes: 64, 80, 96, 112, 128, 160, 192, 224, 256, ... */
static int class_of(size_t bytes, size_t *rounded) {
  size_t base = 64;
  int class = 0;
  while (base * 2 <= bytes) base *= 2, class += 4;
  size_t quarter = base / 4;
  size_t over = bytes > base ? (bytes - base + quarter - 1) / quarter : 0;
  *rounded = base + over * quarter;
  return class + (int)over;
}

static block *take(int class) {
  block *b = list[class];
  if (!b) return NULL;
  list[class] = b->next;
  now.pooled -= b->bytes;
  return b;
}

static void count(size_t bytes) {
  now.live += bytes;
  now.blocks++;
  if (now.live > now.peak) now.peak = now.live;
}

static block *fresh(size_t rounded, int class) {
  void *memory;
  if (posix_memalign(&memory, DF_ALIGN, DF_ALIGN + rounded) != 0) return NULL;
  block *b = memory;
  b->bytes = rounded, b->class = class;
  return b;
}

void *df_alloc(size_t bytes) {
  size_t rounded;
  int class = class_of(bytes < BLOCK_MAX ? bytes : BLOCK_MAX, &rounded);
  if (EXACT) rounded = bytes;
  pthread_mutex_lock(&lock);
  bool over = bytes > BLOCK_MAX || (now.limit && now.live + rounded > now.limit);
  block *b = over ? NULL : take(class);
  pthread_mutex_unlock(&lock);
  if (!b && !over) b = fresh(rounded, class);
  if (!b && !over) df_memory_trim(), b = fresh(rounded, class);
  if (!b) {
    df_memory m = df_memory_now();
    return df_fail_null(
        DF_MEMORY,
        "not enough memory: %.1f MiB asked for, %.1f MiB in use, limit %.1f MiB%s",
        (double)bytes / 1048576, (double)m.live / 1048576, (double)m.limit / 1048576,
        m.limit ? "" : " (none set)");
  }
  pthread_mutex_lock(&lock);
  count(rounded);
  pthread_mutex_unlock(&lock);
  return (char *)b + DF_ALIGN;
}

void df_free(void *memory) {
  if (!memory) return;
  block *b = (block *)((char *)memory - DF_ALIGN);
  pthread_mutex_lock(&lock);
  now.live -= b->bytes;
  now.blocks--;
  bool keep = !EXACT && now.pooled + b->bytes <= POOLED_MAX;
  if (keep) {
    now.pooled += b->bytes;
    b->next = list[b->class];
    list[b->class] = b;
  }
  pthread_mutex_unlock(&lock);
  if (!keep) free(b);
}

df_memory df_memory_now(void) {
  pthread_mutex_lock(&lock);
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

void df_memory_trim(void) {
  for (int class = 0; class < CLASSES; class ++) {
    pthread_mutex_lock(&lock);
    block *b = list[class];
    list[class] = NULL;
    for (block *c = b; c; c = c->next) now.pooled -= c->bytes;
    pthread_mutex_unlock(&lock);
    while (b) {
      block *next = b->next;
      free(b);
      b = next;
    }
  }
}
