/* Memory for tensors: 64-byte aligned blocks by size class, kept on free lists when
** freed, with the bytes in use now and at most. Safe from any thread. */
#ifndef df_alloc_h
#define df_alloc_h

#include "base/base.h"

typedef struct df_memory {
  size_t live;   /* bytes handed out */
  size_t peak;   /* the most that live has been since df_memory_reset_peak */
  size_t pooled; /* bytes on the free lists */
  size_t limit;  /* df_alloc fails beyond; 0: none */
  size_t blocks; /* blocks handed out: a leak shows here */
} df_memory;

void *df_alloc(size_t bytes); /* contents undefined; NULL with DF_MEMORY set */
void df_free(void *block);    /* NULL is fine */

df_memory df_memory_now(void);
void df_memory_limit(size_t bytes);
void df_memory_reset_peak(void);
void df_memory_trim(void); /* gives the free lists back to the system */

#endif
