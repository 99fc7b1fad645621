/* A network: a list of layers on numbered values. Lua writes the list once, when the
** network is made (lua/diffusion/nn/build.lua); C alone runs it.
**
** Values are slots. The first slots are the inputs, which have names ("x", "t", "class").
** Each step reads slots and writes one new slot. A slot is released after the last step
** that reads it, so outside of a record only the values still needed are alive. The skip
** connections of a UNet are slots that are read late.
**
** An input that the caller leaves out is absent. A step whose required input is absent is
** skipped, and its result is absent too. Kinds with optional inputs (add, time_embed,
** attention's mask) run without them. The network's result must not be absent. */
#ifndef df_net_h
#define df_net_h

#include "nn/layers.h"

#define DF_NET_NAME 24 /* bytes of the name of an input or a dimension, with its end */

typedef struct df_net_input {
  char name[DF_NET_NAME];
  bool optional;
  bool whole; /* may be integers */
  int ndim;   /* 0: any */
  struct {
    char name[DF_NET_NAME]; /* dimensions with one name have one size */
    df_int size;            /* 0: any */
    df_int multiple;        /* 0: of nothing */
  } dim[DF_DIMS];
} df_net_input;

/* An empty network. `name` and `text` are what `unet(channels 32)` prints. */
df_layer *df_net_new(const char *name, const char *text, const df_net_input *input,
                     int n);

/* Appends a step and returns the slot that it writes, or -1 with the sentence set. Takes
** `layer` over as the part `path`: "down.1.block.2" makes the groups on its way, and ""
** is for a layer without parameters. in: n slots; -1: no input. */
int df_net_add(df_layer *net, const char *path, df_layer *layer, const int *in, int n,
               bool recompute);

/* Appends a step that calls the part at `path` once more. */
int df_net_again(df_layer *net, const char *path, const int *in, int n);

/* Puts the parts named first, in this order, before all others. */
df_code df_net_order(df_layer *net, const char *const *name, int n);

/* Declares the slot that is the result. */
df_code df_net_done(df_layer *net, int result);

bool df_is_net(const df_layer *layer); /* else the functions here are not for it */

#endif
