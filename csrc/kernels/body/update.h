/* The optimiser step updates parameters, moments and average in one pass. */
#include "kernels/vec.h"

/* Larger gradients are clamped to this. Their squares stay finite; the step is the
** same. */
#ifdef DF_DOUBLE
#define MOST 1e150
#else
#define MOST 1e18f
#endif

static void adamw(df_real *w, const df_real *g, df_real *m, df_real *v, df_real *average,
                  const df_update *u, df_int n) {
  V b1 = vset1(u->beta1), b2 = vset1(u->beta2);
  V new1 = vset1(1 - u->beta1), new2 = vset1(1 - u->beta2);
  V most = vset1(MOST), scale = vset1(u->scale), tiny = vset1(u->tiny),
    less = vset1(-u->lr);
  V correct1 = vset1(u->correct1), correct2 = vset1(u->correct2);
  V decay = vset1(u->decay), keep = vset1(u->ema), take = vset1(1 - u->ema);
  for (df_int i = 0; i < n; i += VL) {
    df_int left = n - i;
    V grad = vmax(vmin(vmul(scale, vload(g + i, left)), most), vneg(most));
    V weight = vload(w + i, left);
    V mean = vfma(b1, vload(m + i, left), vmul(new1, grad));
    V square = vfma(b2, vload(v + i, left), vmul(new2, vmul(grad, grad)));
    V root = vadd(vsqrt(vmul(square, correct2)), tiny);
    V step = vfma(decay, weight, vdiv(vmul(mean, correct1), root));
    weight = vfma(less, step, weight);
    vstore(m + i, mean, left);
    vstore(v + i, square, left);
    vstore(w + i, weight, left);
    if (average)
      vstore(average + i, vfma(take, weight, vmul(keep, vload(average + i, left))), left);
  }
}
