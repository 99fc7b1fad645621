/* Which algorithm computes which product, and why. Everything here takes raw pointers and
** sizes, cuts its work by shape alone, and gives the same bits on any number of threads.
**
**   product                  algorithm                                         file
**   conv, each direction     the first of a list that can and pays             conv
**     tiles                  R S taps over flat rows of bf16, kernel `pairs`;  conv_tile,
**                            to w dy turned by pairs of pixels of x           tile_weight
**     taps                   R taps of S C adjacent reals, own `rows`; to x    conv_tap
**                            the same with turned weights, a pass for each
**                            phase of the stride
**     taps to w              own `rows` over pixels, x turned, dy as weights   conv_weight
**     rows: 1 x 1, linear    own `rows` on the plain rows                      conv_rows
**   matmul, 1 x 1 to w       blocks of 112 x 128 x 256 through own `rows`,     gemm
**                            or OpenBLAS where kernels are scalar (core64)
**   attention                own `rows` and a softmax of columns, by panels of   attention
**                            queries
**
** Measured on one core of an AMD Zen 5 (AVX-512, Debian's OpenBLAS 0.3.21, which runs its
** Haswell kernels there), GF/s of 2 B P Q K R S C operations, batch 16, 3 x 3 kernels:
**
**   H = W, C = K     sgemm, same shape    forward    to x    to w
**   28,  64                        113        240     235     198
**   14, 128                        112        250     246     209
**    7, 256                        118        251     248     192
**
** Taps beat copying columns because nothing is copied: a line of the operand, padded, is
** read in place by every tap. OpenBLAS is left for what no vector kernel of ours covers.
** A kernel of one output or one input (first and last layer) wastes most of a register
** block, but costs a hundredth of a network.
**
** Precision: `highest` is IEEE single precision. `high` is too, save where AMX makes two
** bf16 to a real (high high + high low + low high) pay. `medium` rounds the operands of
** every product, forward and backward, to bf16: in convolutions and linear layers by
** `pairs` where the machine multiplies bf16, elsewhere while reals are packed.
**
** Products of bf16 on the same core (AVX512-BF16), medium, GF/s:
**
**   H = W, C = K     taps, rounding    tiles: forward    to x    to w
**   28,  64                     209               424     386     344
**   14, 128                     223               458     443     339
**    7, 256                     232               464     467     296
**
** Two planes there run at 160, two thirds of reals, so `high` leaves them alone. */
#ifndef df_engine_h
#define df_engine_h

#include "engine/attention.h"
#include "engine/conv.h"
#include "engine/gemm.h"
#include "engine/operand.h"

#endif
