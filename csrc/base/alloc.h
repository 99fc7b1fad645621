/* Memory for everything that comes and goes with a step: 64-byte aligned blocks, kept when
** freed, with the bytes in use now and at most. Safe from any thread. */
#ifndef df_alloc_h
#define df_alloc_h

#include "base/base.h"

typedef struct df_memory {
  size_t live;   /* bytes handed out */
  size_t peak;   /* the most that live has been since df_memory_reset_peak */
  size_t pooled; /* bytes kept for reuse */
  size_t limit;  /* df_alloc fails beyond; 0: none */
  size_t blocks; /* blocks handed out: a leak shows here */
  size_t fresh;  /* how often memory came from the system: still in a steady loop */
} df_memory;

void *df_alloc(size_t bytes); /* contents undefined; NULL with DF_MEMORY set */
void *df_alloc_zeros(size_t bytes);
void df_free(void *block); /* NULL is fine */
/* Room for one more in a list (a block, or NULL) of n things of `width` bytes, which has
** room for *have; false: DF_MEMORY. */
bool df_room(void **list, size_t n, size_t *have, size_t width);

df_memory df_memory_now(void);
void df_memory_limit(size_t bytes);
void df_memory_reset_peak(void);
void df_memory_trim(void); /* gives what is kept back to the system, where it can */

/* For fork.c: the lists are whole, and stay so, between the two. */
void df_alloc_hold(void);
void df_alloc_let_go(void);

#endif
