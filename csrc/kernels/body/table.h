/* The kernel table built from the bodies. The unit defines TABLE and NAME, and PAIRS if
** it has a faster implementation. */
#ifndef PAIRS
#define PAIRS      pairs
#define PAIRS_STEP 2
#define PAIRS_PAY  0
#endif

const df_kernels TABLE = {
  .name = NAME,

  .neg = neg,
  .abs = absolute,
  .sign = sign,
  .floor = floor_,
  .round = round_,
  .exp = exponential,
  .log = logarithm,
  .sqrt = square_root,
  .reciprocal = reciprocal,
  .square = square,
  .sin = sine,
  .cos = cosine,
  .tanh = hyperbolic,
  .erf = error_function,
  .erfc = error_complement,
  .log_erfc = log_complement,

  .silu = silu,
  .relu = relu,
  .gelu = gelu,
  .gelu_tanh = gelu_tanh,
  .quick_gelu = quick_gelu,
  .mish = mish,
  .sigmoid = sigmoid,

  .abs_back = abs_back,
  .log_back = log_back,
  .reciprocal_back = reciprocal_back,
  .square_back = square_back,
  .sin_back = sin_back,
  .cos_back = cos_back,
  .erf_back = erf_back,
  .erfc_back = erfc_back,
  .log_erfc_back = log_erfc_back,
  .silu_back = silu_back,
  .gelu_back = gelu_back,
  .gelu_tanh_back = gelu_tanh_back,
  .quick_gelu_back = quick_gelu_back,
  .mish_back = mish_back,
  .exp_back = exp_back,
  .sqrt_back = sqrt_back,
  .tanh_back = tanh_back,
  .relu_back = relu_back,
  .sigmoid_back = sigmoid_back,

  .add = add,
  .sub = sub,
  .mul = mul,
  .div = div_,
  .maximum = maximum,
  .minimum = minimum,
  .product = product,
  .clamp = clamp,
  .mix = mix,

  .sum = sum,
  .sum_squares = sum_squares,
  .dot = dot,
  .max = largest,
  .min = smallest,
  .sum_rows = sum_rows,

  .moments = moments,
  .norm_rows = norm_rows,
  .norm_back_moments = norm_back_moments,
  .norm_back_rows = norm_back_rows,

  .softmax = softmax,
  .softmax_back = softmax_back,
  .logsumexp = logsumexp,

  .uniform = uniform,
  .normal = normal,
  .dropout = dropout,

  .rows = rows,
  .rows_turned = rows_turned,
  .copy_strips = copy_strips,
  .height = MR,
  .panel = PANEL,
  .pack_weights = pack_weights,

  .pack_strips = pack_strips,
  .strips = strips,
  .score_powers = score_powers,
  .score_again = score_again,
  .score_slopes = score_slopes,
  .dot_rows = dot_rows,
  .add_panels = add_panels,

  .pairs = PAIRS,
  .pairs_step = PAIRS_STEP,
  .pairs_pay = PAIRS_PAY,
#ifdef PLANES_AVX512BF16
  .planes = df_planes_avx512bf16,
  .turn_planes = df_turn_planes_avx512bf16,
  .pair_rows = df_pair_rows_avx512bf16,
  .pair_columns = df_pair_columns_avx512bf16,
  .pair_planes = df_pair_planes_avx512bf16,
  .short_inputs = df_short_inputs_avx512bf16,
  .short_weights = df_short_weights_avx512bf16,
#else
  .planes = planes,
  .turn_planes = turn_planes,
  .pair_rows = pair_rows,
  .pair_columns = pair_columns,
  .pair_planes = pair_planes,
  .short_inputs = short_inputs,
  .short_weights = short_weights,
#endif

  .winograd_inputs = winograd_inputs,
  .winograd_weights = winograd_weights,
  .winograd_weights_row = winograd_weights_row,
  .winograd_few = winograd_few,
  .few_tiles = FEW_TILES,
  .winograd_outputs = winograd_outputs,
  .winograd_outputs_back = winograd_outputs_back,
  .winograd_weights_back = winograd_weights_back,
  .short_outputs = short_outputs,

  .round_bf16 = round_bf16,
  .transpose = transpose,
  .from_f32 = from_f32,
  .from_f64 = from_f64,
  .from_f16 = from_f16,
  .from_bf16 = from_bf16,
  .from_u8 = from_u8,
  .from_i64 = from_i64,
  .to_f32 = to_f32,
  .to_f64 = to_f64,
  .to_f16 = to_f16,
  .to_bf16 = to_bf16,
  .to_u8 = to_u8,
  .to_i64 = to_i64,
  .image_from_u8 = image_from_u8,

  .from_q8_0 = from_q8_0,
  .from_q4_0 = from_q4_0,
  .from_q4_1 = from_q4_1,
  .from_q5_0 = from_q5_0,
  .from_q5_1 = from_q5_1,

  .adamw = adamw,
};

#undef TABLE
#undef NAME
#undef PAIRS
#undef PAIRS_STEP
#undef PAIRS_PAY
