/* Memory for tensors and scratch arrays. Blocks are 64-byte aligned and are pooled when
** they are freed. The allocator counts the bytes in use, now and at the peak. All
** functions are thread-safe. */
#ifndef df_alloc_h
#define df_alloc_h

#include "base/base.h"

typedef struct df_memory {
  size_t live;   /* bytes handed out */
  size_t peak;   /* largest value of live since df_memory_reset_peak */
  size_t pooled; /* freed bytes that are kept for reuse */
  size_t limit;  /* df_alloc fails above this; 0: no limit */
  size_t blocks; /* blocks handed out; a leak shows here */
  size_t fresh;  /* requests to the system; constant in a steady loop */
} df_memory;

void *df_alloc(size_t bytes); /* contents undefined; NULL with DF_MEMORY set */
void *df_alloc_zeros(size_t bytes);
void *df_alloc_if_free(size_t bytes); /* as df_alloc; but NULL is no error */
void df_free(void *block);            /* NULL is fine */
/* Grows a list of n items of `width` bytes, so that one more fits. *list is a block or
** NULL, and *have is its capacity. Returns false with DF_MEMORY set. */
bool df_room(void **list, size_t n, size_t *have, size_t width);

df_memory df_memory_now(void);
void df_memory_limit(size_t bytes);
void df_memory_reset_peak(void);

/* `spare` frees blocks that can be computed again, about so many bytes, and returns how
** many. df_alloc calls it before it fails. */
void df_alloc_spare_from(size_t (*spare)(size_t bytes));

/* `advise` is called with new memory for large blocks. It begins at a huge page. */
void df_alloc_advise_by(void (*advise)(void *memory, size_t bytes));

/* For fork.c: the lists are consistent, and do not change, between these two calls. */
void df_alloc_hold(void);
void df_alloc_let_go(void);

#endif
