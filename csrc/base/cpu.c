/* Detection uses feature bits, never the model: a virtual machine may report a model that
** it is not. */
#define _GNU_SOURCE
#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define BIT(word, n) (((word) >> (n)) & 1u)

/* XCR0: register states that the operating system saves. */
static unsigned long long saved_states(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (unsigned long long)high << 32 | low;
}

/* Linux grants the 8 KB of tile state on request, to all threads of the process. */
static bool tiles_granted(void) {
#ifdef __linux__
  const long ask_for_state = 0x1023, tile_data = 18; /* ARCH_REQ_XCOMP_PERM */
  return syscall(SYS_arch_prctl, ask_for_state, tile_data) == 0;
#else
  return false;
#endif
}

/* d is EDX of leaf 7. `make check-amx` emulates instructions that the processor lacks. It
** still requests tiles that exist: without the request, the processor would accept their
** configuration and fault on the other instructions. */
static bool tiles_here(unsigned d, unsigned long long os) {
  bool here = BIT(d, 22) && BIT(d, 24) && (os & 0x60000) == 0x60000 && tiles_granted();
#ifdef DF_AMX_EMULATED
  return (void)here, true;
#else
  return here;
#endif
}

df_cpu df_cpu_detect(void) {
  df_cpu cpu = { .avx2 = false };
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !BIT(c, 27)) return cpu; /* no xgetbv */
  bool fma = BIT(c, 12), f16c = BIT(c, 29);
  unsigned long long os = saved_states();
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return cpu;
  cpu.avx2 = BIT(b, 5) && fma && f16c && (os & 0x6) == 0x6;
  cpu.avx512 = cpu.avx2 && BIT(b, 16) && BIT(b, 17) && BIT(b, 30) && BIT(b, 31)
               && (os & 0xe6) == 0xe6;
  bool tiles = tiles_here(d, os);
  bool more = a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d);
  cpu.avx512bf16 = cpu.avx512 && more && BIT(a, 5);
  cpu.amx = cpu.avx512bf16 && tiles; /* no processor has tiles without AVX512-BF16 */
  return cpu;
}

#elif defined(__aarch64__)

df_cpu df_cpu_detect(void) { return (df_cpu){ .neon = true }; } /* part of AArch64 */

#else

df_cpu df_cpu_detect(void) { return (df_cpu){ .neon = false }; }

#endif
