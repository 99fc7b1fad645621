/* What went wrong: a code, and one sentence for the user, kept per thread. The core
** returns (NULL or the code); only the binding raises. */
#ifndef df_error_h
#define df_error_h

typedef enum df_code {
  DF_OK = 0,
  DF_MISUSE, /* the caller's arguments disagree */
  DF_MEMORY, /* not enough memory; worth a collection and one retry */
  DF_WORLD,  /* a file or a program outside failed */
  DF_GUEST   /* a walk met a node that only the binding can undo */
} df_code;

/* Records the code and the sentence; returns the code, so that `return df_fail(...)`
** reads as what it does. Lower case, no full stop, the numbers in it. */
df_code df_fail(df_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for functions that return a pointer. */
void *df_fail_null(df_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

df_code df_error_code(void);     /* of the last failure on this thread */
const char *df_error_text(void); /* its sentence */
void df_error_prefix(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* puts a path in front: "unet.down.1: ..." */

#endif
