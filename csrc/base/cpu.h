/* What this processor can do and the operating system has switched on. */
#ifndef df_cpu_h
#define df_cpu_h

#include <stdbool.h>

typedef struct df_cpu {
  bool avx2;       /* with FMA and F16C, and the OS saves the upper halves */
  bool avx512;     /* F, BW, DQ, VL, and the OS saves masks and all 32 registers */
  bool avx512bf16; /* with AVX512 */
  bool amx;        /* with AVX512-BF16: tiles of it, and the OS gives tile memory */
  bool neon;
} df_cpu;

df_cpu df_cpu_detect(void);

#endif
