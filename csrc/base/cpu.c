/* The processor is asked by its feature bits, never by its model: a virtual machine may
** name a family that it is not. */
#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

#define BIT(word, n) (((word) >> (n)) & 1u)

/* XCR0: the register states that the operating system saves. */
static unsigned long long saved_states(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (unsigned long long)high << 32 | low;
}

df_cpu df_cpu_detect(void) {
  df_cpu cpu = { false, false, false, false };
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !BIT(c, 27)) return cpu; /* no xgetbv */
  bool fma = BIT(c, 12), f16c = BIT(c, 29);
  unsigned long long os = saved_states();
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return cpu;
  cpu.avx2 = BIT(b, 5) && fma && f16c && (os & 0x6) == 0x6;
  cpu.avx512 = cpu.avx2 && BIT(b, 16) && BIT(b, 17) && BIT(b, 30) && BIT(b, 31)
               && (os & 0xe6) == 0xe6;
  cpu.amx = cpu.avx512 && BIT(d, 22) && BIT(d, 24) && (os & 0x60000) == 0x60000;
  return cpu;
}

#elif defined(__aarch64__)

df_cpu df_cpu_detect(void) { return (df_cpu){ .neon = true }; } /* part of AArch64 */

#else

df_cpu df_cpu_detect(void) { return (df_cpu){ .neon = false }; }

#endif
