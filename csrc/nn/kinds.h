/* The kinds of layers by name, with the options that each reads. */
#ifndef df_kinds_h
#define df_kinds_h

#include "nn/layers.h"

typedef enum df_option_type {
  DF_OPTION_INT,
  DF_OPTION_REAL,
  DF_OPTION_FLAG
} df_option_type;

typedef struct df_option {
  const char *name;
  df_option_type type;
  size_t at; /* offset in df_layer_opts */
} df_option;

typedef struct df_kind_row {
  const char *name;
  const char *options; /* names, each with a space before and behind */
  df_maker *make;
} df_kind_row;

extern const df_kind_row df_kinds[]; /* ends with a NULL name */

const df_kind_row *df_layer_kind(const char *name); /* or NULL */
/* The option, or NULL if this kind does not read it. */
const df_option *df_layer_option(const df_kind_row *kind, const char *name);

#endif
