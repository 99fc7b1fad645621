/* Features that the processor has and the operating system has enabled. */
#ifndef df_cpu_h
#define df_cpu_h

#include <stdbool.h>

typedef struct df_cpu {
  bool avx2;       /* also FMA and F16C; the OS saves the upper halves */
  bool avx512;     /* F, BW, DQ, VL; the OS saves masks and all 32 registers */
  bool avx512bf16; /* also avx512 */
  bool amx;        /* also avx512bf16; bf16 tiles, and the OS grants tile memory */
  bool neon;
} df_cpu;

df_cpu df_cpu_detect(void);

#endif
