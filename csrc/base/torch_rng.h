/* The random numbers of PyTorch 2.13 on a CPU, so that a seed from a Python script gives
** the same noise here. The generator is MT19937 (Matsumoto & Nishimura 1998). PyTorch
** converts its words to uniform, normal and integer numbers. Both builds return the
** numbers of float32 tensors. */
#ifndef df_torch_rng_h
#define df_torch_rng_h

#include "base/base.h"

#define DF_TORCH_WORDS 624

typedef struct df_torch_rng {
  uint32_t word[DF_TORCH_WORDS];
  uint32_t used;   /* words already drawn, 0..624 */
  uint32_t cached; /* 1: cache holds the second number of a pair */
  double cache;
} df_torch_rng;

void df_torch_seed(df_torch_rng *g, uint64_t seed);           /* uses the low 32 bits */
void df_torch_uniform(df_torch_rng *g, df_real *y, df_int n); /* torch.rand */
void df_torch_normal(df_torch_rng *g, df_real *y, df_int n);  /* torch.randn */
/* tensor.bernoulli_(p): 1 with probability p, else 0. Dropout's mask has p = keep. */
void df_torch_coin(df_torch_rng *g, df_real *y, df_int n, double p);
/* torch.randint: integers low .. low + range - 1. A range of 0 means all of int64.
** PyTorch 2.13 draws two words for a range of at least 2^28; PyTorch 1.13 did so from
** 2^32 on. */
void df_torch_whole(df_torch_rng *g, int64_t *y, df_int n, int64_t low, uint64_t range);
void df_torch_permutation(df_torch_rng *g, int64_t *y, df_int n); /* 1..n */

#endif
