/* The algorithms that compute products, and the measurements behind their choice. All of
** them take raw pointers and sizes. Shapes alone cut their work, so results have the same
** bits on any number of threads.
**
**   product              algorithm                                          file
**   conv, each way       the first of a list that can do it and pays        conv
**     winograd_short     3 x 3 at medium: 24 products of bf16 for a tile's  conv_
**                        8 outputs, kernel `pairs`                     winograd_short
**     tiles              R S taps over flat rows of bf16, kernel `pairs`    conv_tile
**     tiles to w         dy turned times x as pairs of pixels               tile_weight
**     taps               R taps of S C adjacent reals, kernel `rows`        conv_tap
**     taps to x          the same with turned weights, a pass for each      conv_tap
**                        phase of the stride
**     taps to w          `rows` over pixels, x turned, dy as weights        conv_weight
**     rows: 1 x 1        `rows` on plain rows; linear layers too            conv_rows,
**                                                                           rows
**     winograd: 3 x 3    36 products for a tile's 16 outputs, `rows`        conv_winograd
**     winograd_taps      the same for few tiles: weights are read as taps   conv_
**                        and transformed in each product                    winograd_taps
**                        of up to 8 tiles in registers: 4 tiles of 256      winograd_few
**                        channels take 0.67 of the time (AVX-512)
**     few: 1 to 3 out    taps as columns of one product, added shifted      conv_few
**   matmul, 1 x 1 to w   blocks through `rows`, `rows_turned` or `pairs`;   gemm,
**                        OpenBLAS if kernels are scalar (core64)            gemm_block
**   weights, packed      read in blocks of any float type and strides       weights
**     and not kept       blocks of columns, packed and multiplied in turn   conv_columns
**   attention            panels of queries against tiles of keys, whose     attend,
**                        scores stay in cache                               attention
**   attention back       the same; probabilities are recomputed            attention_back
**
** Speeds are GF/s of 2 B P Q K R S C operations for 3 x 3 kernels with weights packed
** beforehand. They were measured on one core of an AMD Zen 5. Debian's OpenBLAS 0.3.21
** runs its Haswell kernels there.
**
**                          AVX-512: taps    winograd       AVX2: taps       winograd
**   B, H = W, C = K  sgemm  to y   x    w    y    x    w   to y   x    w    y    x    w
**   16, 28,  64        113   242  234  221  539  506  389   119  120  112  278  265  248
**   16, 14, 128        112   249  244  219  525  482  436   118  119  112  257  252  249
**   16, 16, 256              257  258  210  721  724  467   123  123  115  357  355  256
**   16,  8, 256              254  255  210  606  573  464   117  117  112  315  291  293
**   16,  7, 256        118   253  247  204  477  453  346   104  103  110  240  222  227
**    1, 16, 256              258  246  192  433  446  228   123  120  106  238  242  160
**
** Taps beat copying columns because nothing is copied: every tap reads a padded line of
** the operand in place. Winograd's products are as fast, but a tile is transformed before
** and after. Its weights are four times as many: packing 256 x 256 takes 0.5 ms for each
** direction of a training step, against 0.2 ms. OpenBLAS is left for products that no
** vector kernel of ours covers.
**
** A network's last layer has 1 or 3 outputs, which leaves a register block empty:
**
**                                taps:  y    w     few:  y    w
**   64 images of 28 x 28, 32 to 1      14   11          56   41
**   16 images of 32 x 32, 128 to 3     44   32         128  109
**
** Its first layer, at 80 to 120 by taps, waits for memory.
**
** Gradients of a linear layer's weights, in GF/s on one core of a Sapphire Rapids, whose
** FMAs do 123 in AVX2 and 225 in AVX-512. `blocks` are of 112 x 128, with dy transposed
** and x packed for each. `strips` copy dy in memory order. `shared` packs x once too.
**
**   rows, inputs to outputs    AVX2: blocks  strips  shared    AVX-512: blocks  strips
**   1024,  384 to 1536                   81      94     103                124     142
**   4096,  320 to 1280                   70      84      95                 92     133
**   8192,  512 to  512                   63      83      90                 90     128
**   1024, 1024 to 1024                   79      81      93                107     133
**
** The multiplication alone does 110 to 120 there, and 185 to 200. Reading the operands
** from the third cache takes most of the rest. These gained nothing: to fetch panels or
** sums ahead in the kernel, huge pages, and to cut the channels of the forward pass.
**
** `highest` is IEEE single precision by taps. `high` is Winograd, with errors of 0.3e-6
** to 3e-6 (relative L2, C of 1 to 640). If AMX makes it pay, `high` is two bf16 to a
** real: high high + high low + low high. `medium` rounds the operands of every product,
** forward and backward, to bf16. They are planes of bf16 for `pairs` if the machine
** multiplies bf16. On other machines, and in Winograd's tall tiles, they stay reals.
** Short tiles round the transformed operands once more.
**
** Medium precision by bf16 on the same core (AVX512-BF16); ms is all three directions
** with packing:
**
**                    taps,    tiles:             winograd:
**   B, H = W, C = K  rounding  y    x    w   ms   y    x    w   ms
**   16, 32, 128           226  475  466  364  34  639  556  448  27
**   16, 16, 256           237  470  479  322  36  692  626  385  28
**   64, 28,  64           209  414  385  342  29  517  444  407  25
**   64,  7, 256           232  471  463  281  29  471  466  298  29
**   16,  4, 256           201  338  318  352   3  369  421  156   5
**    1, 16, 256           234  499  457  397   2  396  432  153   4
**
** On two cores of a Zen 4, short tiles of Winograd's do 650 to 1100 GF/s in bf16, with
** weights of 16 bits (conv_winograd_short). Tiles do 440 to 455 there, which is 0.95 of
** the rate of VDPBF16PS. Errors are 0.7e-2, against 0.24e-2 by tiles or by Winograd in
** reals.
**
** Two planes run at 160 on a Zen 5, two thirds of the speed of reals. So `high` has them
** only with AMX.
**
** On one core of a Sapphire Rapids, AMX compares with Winograd in AVX-512 as follows. Its
** peak is 2.3 TF/s of bf16, and a third of it at `high`, which takes three products:
**
**                    tiles, high:    tiles, medium:   winograd:
**   B, H = W, C = K   y   x   w       y    x   w       y   x   w
**   16, 32, 128      400 541 400     635 1068 734     344 401 299
**   16, 16, 256      476 558 285     935 1242 590     366 337 301
**   64, 28,  64      255 417 287     866  702 486
**   16,  4, 256      309 340 247     776  768 207
**
** `pairs` itself reaches 0.65 to 0.8 of the peak at high and 0.45 to 0.7 at medium. There
** the second cache brings 60 bytes a cycle, and a step of four products asks for 64. The
** rest of the time rounds and turns x and dy, and writes y: half of the time for a 1 x 1
** kernel. These gained nothing: to fetch the next panel ahead, to put channels outside of
** taps, and to give the pixels of images an odd pitch.
**
** Words. tap, panel, pair, plane and pitch are defined in kernels.h.
**   block      pixels that are worked on together: lines of an image, or whole images
**   group      a share of the panels, or of the rows of dw
**   part       a share of a sum's terms. Parts are summed apart and folded in order
**   item       the work of a task at one time, such as a block for a group of panels
**   piece      a task's share of a workspace
**   phase      the pixels whose position has one remainder modulo the stride
**   flat row   a pixel's channels in an operand, whose pixels all have one pitch. A tap
**              is then a constant offset, also across lines and images */
#ifndef df_engine_h
#define df_engine_h

#include "engine/attention.h"
#include "engine/conv.h"
#include "engine/gemm.h"
#include "engine/operand.h"

#endif
