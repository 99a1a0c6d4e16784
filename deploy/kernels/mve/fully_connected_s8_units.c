/* Dense layer of few units, one after the other. */
#include "trecx/arith.h"
#include "trecx/kernels/fully_connected_s8_mve.h"

/* Sum of the products of `count` values. In assembly: gcc 12 has no tail-predicated loops. */
static inline int32_t dot(const int8_t *a, const int8_t *b, int32_t count) {
  int32_t sum = 0;
  __asm__ volatile(
      "wlstp.8 lr, %[count], 2f \n"
      "1: vldrb.u8 q0, [%[a]], #16 \n"
      "vldrb.u8 q1, [%[b]], #16 \n"
      "vmladava.s8 %[sum], q0, q1 \n"
      "letp lr, 1b \n"
      "2: \n"
      : [a] "+r"(a), [b] "+r"(b), [sum] "+Te"(sum)
      : [count] "r"(count)
      : "lr", "q0", "q1", "memory");
  return sum;
}

void trecx_fully_connected_s8_mve_units(const trecx_fully_connected_s8_params *params,
                                        const int8_t *input, int8_t *output, void *scratch) {
  const trecx_fully_connected_s8_params *p = params;
  (void)scratch;
  for (int32_t row = 0; row < p->rows; row++) {
    const int8_t *weights = p->weights;
    for (int32_t o = 0; o < p->units; o++) {
      const int32_t sum = trecx_wrapping_add(dot(input, weights, p->inputs), p->bias[o]);
      *output++ = trecx_requantize(sum, p->multiplier[o], p->shift[o], p->output_offset,
                                   p->activation_min, p->activation_max);
      weights += p->inputs;
    }
    input += p->inputs;
  }
}
