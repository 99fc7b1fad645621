/* An error is a code and one sentence for the user, stored per thread. The core returns
** NULL or the code. Only the binding raises Lua errors. */
#ifndef df_error_h
#define df_error_h

typedef enum df_code {
  DF_OK = 0,
  DF_MISUSE, /* invalid arguments */
  DF_MEMORY, /* not enough memory; collect garbage and retry once */
  DF_WORLD,  /* a file or another program failed */
  DF_GUEST   /* the backward pass met a node that only the binding can undo */
} df_code;

/* Stores the code and the sentence, and returns the code, so that a caller can write
** `return df_fail(...)`. A sentence starts in lower case, has no full stop, and contains
** the numbers. */
df_code df_fail(df_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As df_fail, for functions that return a pointer. */
void *df_fail_null(df_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

df_code df_error_code(void);     /* code of the last failure on this thread */
const char *df_error_text(void); /* the sentence of that failure */
void df_error_prefix(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* prepends a path to the sentence: "unet.down.1: ..." */

#endif
