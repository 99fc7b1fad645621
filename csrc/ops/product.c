/* The engine's convolution between tensors, and the cache of packed weights. */
#include "ops/product.h"

#include "engine/conv_columns.h"
#include "kernels/kernels.h"
#include "ops/fold.h"
#include "ops/inside.h"
#include "ops/op.h"
#include "ops/operand.h"
#include "ops/parts.h"
#include "ops/record.h"
#include "ops/stored.h"

/* ==== weights ======================================================================= */

/* w itself, or a dense copy of a type that can't be packed from. */
static df_tensor *packable(df_tape *tape, df_tensor *w) {
  return w->dtype == DF_REAL || df_stored_reader(w->dtype) ? w : df_dense(tape, w);
}

static df_weights weights_of(const df_tensor *w, const df_conv *c) {
  int last = w->shape.ndim - 1;
  bool in_blocks = df_dtype_in_blocks(w->dtype);
  return (df_weights){ .data = w->storage->body->data,
                       .at = w->offset,
                       .bytes = in_blocks ? 0 : df_dtype_size(w->dtype),
                       .read = w->dtype == DF_REAL ? NULL : df_stored_reader(w->dtype),
                       .K = c->K,
                       .R = c->R,
                       .S = c->S,
                       .C = c->C,
                       .k_step = w->stride[0],
                       .r_step = last == 3 ? w->stride[1] : 0,
                       .s_step = last == 3 ? w->stride[2] : 0,
                       .c_step = w->stride[last] };
}

/* ==== packing ======================================================================= */

/* Weights for one product. */
typedef struct packed {
  df_conv c; /* the convolution, with the type of the pack */
  df_weights weights;
  const void *data; /* packed; NULL: they are packed a block of columns at a time */
  df_kept *kept;    /* to be given back, or NULL */
} packed;

/* The reason for which weights are read. */
typedef struct use {
  bool learnt; /* they change before the next step */
  bool part;   /* a part of a batch */
} use;

/* All that the layout of packed weights depends on. */
static df_pack_key key_of(const df_tensor *w, const packed *p, const df_packing *how) {
  const df_weights *f = &p->weights;
  const df_conv *c = &p->c;
  return (df_pack_key){ how,
                        { w->offset, (df_int)w->dtype, f->k_step, f->r_step, f->s_step,
                          f->c_step, c->K, c->R, c->S, c->C, c->stride,
                          c->precision == DF_MEDIUM, (df_int)df_kernel() } };
}

/* Trainable weights change before their next use, so their packs belong to the scope. */
static df_code pack_once(df_tape *tape, packed *p, const df_packing *how) {
  df_int reals = df_ceil_div((df_int)how->bytes(&p->c), (df_int)sizeof(df_real));
  df_tensor *scratch = df_result(tape, &(df_shape){ 1, { reals } });
  if (!scratch) return DF_MEMORY;
  p->data = df_tensor_reals(scratch);
  return how->pack(df_tensor_reals(scratch), &p->weights, &p->c);
}

/* The bytes of w, if they are adjacent in any order. */
static df_extent source_of(const df_tensor *w) {
  df_int last = 0, count = df_shape_count(&w->shape);
  for (int i = 0; i < w->shape.ndim; i++) last += (w->shape.size[i] - 1) * w->stride[i];
  if (last != count - 1) return (df_extent){ 0, 0 };
  return (df_extent){ (size_t)df_dtype_bytes(w->dtype, w->offset),
                      (size_t)df_dtype_bytes(w->dtype, count) };
}

/* The smallest type that loses nothing. Rounded f16 may exceed f16's range. */
static df_pack_type kept_type(const df_tensor *w, const df_conv *c) {
  if (w->dtype != DF_F16 && w->dtype != DF_BF16) return DF_PACK_REALS;
  return w->dtype == DF_BF16 || c->precision == DF_MEDIUM ? DF_PACK_BF16 : DF_PACK_F16;
}

/* Packs of frozen weights are kept until they are written to, as far as the budget goes.
** The pages of a mapped file are let go. */
static df_code keep(const df_tensor *w, packed *p, const df_packing *how) {
  df_pack_key key = key_of(w, p, how);
  df_pack *pack = df_pack_of(w->storage, &key, source_of(w));
  if (!pack) return DF_MEMORY;
  p->data = df_kept_take(&pack->kept);
  if (p->data) return p->kept = &pack->kept, DF_OK;
  void *made = df_pack_make(w->storage, pack, how->bytes(&p->c));
  if (!made) return DF_OK;
  p->data = made, p->kept = &pack->kept;
  df_code code = how->pack(made, &p->weights, &p->c);
  if (code == DF_OK) df_pack_is_made(w->storage, pack);
  else df_kept_give(&pack->kept), df_kept_end(&pack->kept);
  return code;
}

/* Packs that are not kept are made of reals, since they are used once. */
static df_code pack_to_keep(const df_tensor *w, packed *p, const df_packing *how) {
  p->c.pack_type = kept_type(w, &p->c);
  df_code code = keep(w, p, how);
  if (!p->data) p->c.pack_type = DF_PACK_REALS;
  return code;
}

/* The other parts of a batch read the same weights. */
static df_code pack_for_parts(df_tape *tape, const df_tensor *w, packed *p,
                              const df_packing *how) {
  df_code code = pack_to_keep(w, p, how);
  return code == DF_OK && !p->data ? pack_once(tape, p, how) : code;
}

static df_code open_packed(df_tape *tape, df_tensor *w, const df_conv *c,
                           const df_packing *how, use of, packed *p) {
  w = packable(tape, w);
  if (!w) return df_error_code();
  *p = (packed){ .c = *c, .weights = weights_of(w, c) };
  if (!of.learnt) return pack_to_keep(w, p, how);
  if (of.part && w->leaf) return pack_for_parts(tape, w, p, how);
  return pack_once(tape, p, how);
}

static void close_packed(const packed *p) {
  if (p->kept) df_kept_give(p->kept);
}

/* ==== forward ======================================================================= */

static df_image image_of(const df_tensor *x, const df_conv *c) {
  return df_tensor_image(x, c->B, c->H, c->W, c->C);
}

static use use_of(const df_tape *tape, df_tensor *w) {
  const df_record *r = df_tape_innermost(tape);
  return (use){ df_is_learnt(tape, w), r && r->parts == 1 };
}

df_tensor *df_product_forward(df_tape *tape, df_tensor *y, const df_tensor *x,
                              df_tensor *w, const df_tensor *b, const df_tensor *add,
                              const df_conv *c) {
  const df_algorithm *a = df_conv_choose(c, DF_FORWARD, x->form);
  packed p;
  if (open_packed(tape, w, c, &a->ahead, use_of(tape, w), &p) != DF_OK) return NULL;
  df_image image = image_of(x, c);
  df_real *to = df_tensor_reals(y);
  const df_real *bias = b ? df_tensor_reals(b) : NULL,
                *more = add ? df_tensor_reals(add) : NULL;
  df_code code = p.data ? a->forward(&p.c, to, &image, p.data, bias, more)
                        : df_columns_forward(a, c, to, &image, &p.weights, bias, more);
  close_packed(&p);
  return code == DF_OK ? y : NULL;
}

/* Weights that are not kept are packed once for all parts. */
static df_code open_for_rows(df_tape *tape, df_tensor *w, const df_conv *c,
                             const df_packing *how, packed *p) {
  df_code code = open_packed(tape, w, c, how, use_of(tape, w), p);
  return code == DF_OK && !p->data ? pack_once(tape, p, how) : code;
}

df_code df_product_rows(df_tape *tape, df_tensor *room, const df_tensor *x, df_tensor *w,
                        const df_tensor *b, const df_conv *c, df_int most,
                        df_rows_task *task, void *context) {
  const df_algorithm *a = df_conv_choose(c, DF_FORWARD, DF_ROWS);
  const df_real *rows = df_tensor_reals(x), *bias = b ? df_tensor_reals(b) : NULL;
  packed p;
  df_code code = open_for_rows(tape, w, c, &a->ahead, &p);
  if (code != DF_OK) return code;
  for (df_int row = 0; row < c->W && code == DF_OK; row += most) {
    df_conv part = p.c;
    part.W = part.Q = df_min(most, c->W - row);
    df_image image = df_image_of(DF_ROWS, rows + row * c->C, 1, 1, part.W, c->C);
    code = a->forward(&part, df_tensor_reals(room), &image, p.data, bias, NULL);
    if (code == DF_OK) task(context, row, part.W);
  }
  close_packed(&p);
  return code;
}

/* ==== backward ======================================================================
**   y[n,p,q,k] = b[k] + add[n,p,q,k] + sum_rsc x[n,h,w,c] w[k,r,s,c]
** with h = p stride + r - top and w = q stride + s - left. Hence
**   db[k]       = sum_npq dy[n,p,q,k]
**   dw[k,r,s,c] = sum_npq dy[n,p,q,k] x[n,h,w,c]
**   dx[n,h,w,c] = sum_k sum_rs dy[n,p,q,k] w[k,r,s,c]    over r, s that give a whole p, q
**   dadd        = dy                                     in conv2d.c
** Linear has one pixel to a row: y = x w^T + b, db = sum(dy), dw = dy^T x, dx = dy w. */

/* The gradients of w and b are sums over the batch, whose parts are images, or rows. */
typedef struct summed {
  df_conv part;
  df_image x;            /* images of part 0 */
  df_int x_step, pixels; /* from a part to the next: reals of x, pixels of y */
  const df_real *dy;
} summed;

static summed summed_of(const df_node *node, const df_conv *c, const df_tensor *dy,
                        int parts) {
  summed s = { .part = *c, .dy = df_tensor_reals(dy) };
  if (node->keep[0]) s.x = image_of(node->keep[0], c); /* else w gets no gradient */
  if (c->B > 1) {
    s.part.B = s.x.B = c->B / parts;
    s.x_step = s.x.B * s.x.image;
  } else if (parts > 1) {
    s.part.W = s.part.Q = s.x.W = c->W / parts;
    s.x_step = s.x.line = s.x.image = s.x.W * c->C;
  }
  s.pixels = s.part.B * s.part.P * s.part.Q;
  return s;
}

static df_code bias_of_part(void *context, int part, df_real *to, df_real beta) {
  const summed *s = context;
  const df_int K = s->part.K;
  df_shape shape = { .ndim = 1, .size = { K } }, rows = { 2, { s->pixels, K } };
  return df_reduce_to(to, beta, &shape, s->dy + part * s->pixels * K, &rows);
}

static df_code weights_of_part(void *context, int part, df_real *to, df_real beta) {
  const summed *s = context;
  df_image x = s->x;
  x.at += part * s->x_step;
  const df_algorithm *a = df_conv_choose(&s->part, DF_WEIGHT, x.form);
  return a->weight(&s->part, to, beta != 0, &x, s->dy + part * s->pixels * s->part.K);
}

static df_code to_bias(df_node *node, const df_conv *c, const df_tensor *dy) {
  if (!df_wants(node, 2)) return DF_OK;
  summed s = summed_of(node, c, dy, df_sink_parts(node, 2));
  return df_sink_by_parts(node, 2, bias_of_part, &s);
}

static df_code to_weights(df_node *node, const df_conv *c, const df_tensor *dy) {
  if (!df_wants(node, 1)) return DF_OK;
  const int parts = df_sink_parts(node, 1);
  summed s = summed_of(node, c, dy, parts);
  const df_algorithm *a = df_conv_choose(&s.part, DF_WEIGHT, s.x.form);
  if (parts == 1 || !a->weight_parts)
    return df_sink_by_parts(node, 1, weights_of_part, &s);
  df_sink w;
  if (df_sink_open(node, 1, &w) != DF_OK) return df_error_code();
  return w.to ? a->weight_parts(&s.part, parts, w.to, w.beta != 0, &s.x, s.dy) : DF_OK;
}

static df_code to_data(df_tape *tape, df_node *node, const df_conv *c,
                       const df_tensor *dy) {
  df_sink dx;
  if (df_sink_open(node, 0, &dx) != DF_OK) return df_error_code();
  if (!dx.to) return DF_OK;
  const df_algorithm *a = df_conv_choose(c, DF_DATA, DF_ROWS);
  packed p;
  const use of = { df_wants(node, 1), node->record->parts == 1 };
  df_code code = open_packed(tape, node->keep[1], c, &a->back, of, &p);
  if (code != DF_OK) return code;
  const df_real *from = df_tensor_reals(dy);
  code = p.data ? a->data(&p.c, dx.to, dx.beta != 0, from, p.data)
                : df_columns_data(a, c, dx.to, dx.beta != 0, from, &p.weights);
  close_packed(&p);
  return code;
}

df_code df_product_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const df_conv *c = node->data;
  df_code code = to_bias(node, c, dy);
  if (code == DF_OK) code = to_weights(node, c, dy);
  df_node_let_go(node, 0); /* x, before dx is allocated */
  return code == DF_OK ? to_data(tape, node, c, dy) : code;
}
