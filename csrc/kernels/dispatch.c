/* Chooses the kernel table. The scalar table always exists. Each other table needs
** support from this build, the processor and the operating system. */
#include "kernels/tables.h"
#include "base/cpu.h"
#include "base/error.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TABLES_MAX 5

static _Atomic(const df_kernels *) chosen;

/* Lists the tables that this machine can run, slowest first; NULL ends the list. */
static void list(const df_kernels *table[TABLES_MAX + 1]) {
  int n = 0;
  table[n++] = &df_kernels_scalar;
#ifndef DF_DOUBLE
#if defined(__x86_64__)
  df_cpu cpu = df_cpu_detect();
  if (cpu.avx2) table[n++] = &df_kernels_avx2;
  if (cpu.avx512) table[n++] = &df_kernels_avx512;
#ifdef DF_HAVE_AVX512BF16
  if (cpu.avx512bf16) table[n++] = &df_kernels_avx512bf16;
#endif
#ifdef DF_HAVE_AMX
  if (cpu.amx) table[n++] = &df_kernels_amx;
#endif
#elif defined(__aarch64__)
  table[n++] = &df_kernels_neon;
#endif
#endif
  table[n] = NULL;
}

const char *const *df_kernels_names(void) {
  static _Thread_local const char *name[TABLES_MAX + 1];
  const df_kernels *table[TABLES_MAX + 1];
  list(table);
  for (int i = 0; i <= TABLES_MAX; i++) name[i] = NULL;
  for (int i = 0; table[i]; i++) name[i] = table[i]->name;
  return name;
}

static const df_kernels *named(const char *name) {
  const df_kernels *table[TABLES_MAX + 1];
  list(table);
  for (int i = 0; table[i]; i++)
    if (strcmp(table[i]->name, name) == 0) return table[i];
  return NULL;
}

static const df_kernels *best(void) {
  const df_kernels *table[TABLES_MAX + 1];
  int last = 0;
  list(table);
  while (table[last + 1]) last++;
  return table[last];
}

static df_code refuse(const char *what, const char *name) {
  char names[64] = "";
  for (const char *const *has = df_kernels_names(); *has; has++) {
    if (names[0]) strcat(names, ", ");
    strcat(names, *has);
  }
  return df_fail(DF_MISUSE, "%s%s: this machine has %s", what, name, names);
}

/* core64 has one table, so it ignores DIFFUSION_ISA, which is meant for core. */
static const char *wish(void) {
#ifdef DF_DOUBLE
  return NULL;
#else
  return getenv("DIFFUSION_ISA");
#endif
}

int df_kernels_choose(const char *name) {
  const char *what = name ? "isa " : "DIFFUSION_ISA=";
  if (!name) name = wish();
  const df_kernels *table = name && *name ? named(name) : best();
  if (!table) return refuse(what, name);
  atomic_store(&chosen, table);
  return DF_OK;
}

const df_kernels *df_kernel(void) {
  const df_kernels *table = atomic_load_explicit(&chosen, memory_order_acquire);
  if (table) return table;
  const char *name = wish();
  table = name ? named(name) : NULL;
  if (!table) table = best();
  atomic_store(&chosen, table);
  return table;
}
