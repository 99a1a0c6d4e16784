#include <string.h>

#include "mlperf.h"

static float raw_float(const mlperf_model *config, uint32_t i) {
  float value;
  memcpy(&value, config->raw + i * sizeof value, sizeof value);
  return value;
}

/* Nearest integer, ties to even, limited to int8 after adding the zero point. */
static int8_t quantise(float value, float scale, int32_t zero_point) {
  float quotient = value / scale;
  if (!(quotient > -1000.0f)) quotient = -1000.0f; /* also not-a-number */
  if (quotient > 1000.0f) quotient = 1000.0f;
  int32_t below = (int32_t)quotient;
  if ((float)below > quotient) below--;
  const float rest = quotient - (float)below;
  if (rest > 0.5f || (rest == 0.5f && below % 2 != 0)) below++;
  below += zero_point;
  return (int8_t)(below < -128 ? -128 : below > 127 ? 127 : below);
}

void tensor_load(const mlperf_model *config) {
  for (uint32_t i = 0; i < config->input_values; i++) {
    if (config->table != NULL) {
      config->input[i] = config->table[config->raw[i]];
    } else if (config->raw_bytes != config->input_values) {
      config->input[i] =
          quantise(raw_float(config, i), config->input_scale, config->input_zero_point);
    }
    /* Otherwise the raw bytes are the input. */
  }
}

static float dequantise(const mlperf_model *config, const trecx_result *result, uint32_t i) {
  const int32_t zero_point = config->output_zero_points[result->exit_index];
  return (float)(result->output[i] - zero_point) * config->output_scales[result->exit_index];
}

void tensor_print_scores(const mlperf_model *config, const trecx_result *result, uint32_t count) {
  if (config->is_anomaly_detector) {
    float sum = 0;
    for (uint32_t i = 0; i < count; i++) {
      const float difference = dequantise(config, result, i) - raw_float(config, i);
      sum += difference * difference;
    }
    out_decimal(sum / (float)count);
    return;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0) out_text(",");
    out_decimal(dequantise(config, result, i));
  }
}
