/* The numbers that PyTorch (2.13) draws on a CPU: Matsumoto & Nishimura's MT19937 (1998) and
** PyTorch's ways from its words to uniform, normal and whole numbers, so that a seed of a
** Python script gives the same noise here. Numbers are those of float32 tensors in both
** builds. */
#ifndef df_torch_rng_h
#define df_torch_rng_h

#include "base/base.h"

#define DF_TORCH_WORDS 624

typedef struct df_torch_rng {
  uint32_t word[DF_TORCH_WORDS];
  uint32_t used;   /* words drawn of these, 0..624 */
  uint32_t cached; /* 1: a normal number is left over from a pair */
  double cache;
} df_torch_rng;

void df_torch_seed(df_torch_rng *g, uint64_t seed);           /* its low 32 bits count */
void df_torch_uniform(df_torch_rng *g, df_real *y, df_int n); /* torch.rand */
void df_torch_normal(df_torch_rng *g, df_real *y, df_int n);  /* torch.randn */
/* 1 with probability p, else 0: tensor.bernoulli_(p), and dropout's mask for p = keep */
void df_torch_coin(df_torch_rng *g, df_real *y, df_int n, double p);
/* low .. low + range - 1; a range of 0 stands for all of int64. PyTorch 2.13 takes two words
** for a range of 2^28 or more, as 1.13 did for 2^32 or more. */
void df_torch_whole(df_torch_rng *g, int64_t *y, df_int n, int64_t low, uint64_t range);
void df_torch_permutation(df_torch_rng *g, int64_t *y, df_int n); /* 1..n */

#endif
