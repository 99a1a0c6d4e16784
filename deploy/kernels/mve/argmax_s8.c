/* Index of the largest value: the largest one is found first, then its first place. */
#include "trecx/kernels/argmax_s8_mve.h"

#include <arm_mve.h>

static int8_t largest_of(const int8_t *q, uint32_t n) {
  int32_t largest;
  __asm__ volatile(
      "vmov.i8 q1, #0x80 \n"
      "dlstp.8 lr, %[n] \n"
      "1: vldrb.u8 q0, [%[q]], #16 \n"
      "vmax.s8 q1, q1, q0 \n"
      "letp lr, 1b \n"
      "mvn %[largest], #127 \n"
      "vmaxv.s8 %[largest], q1 \n"
      : [q] "+r"(q), [largest] "=&r"(largest)
      : [n] "r"(n)
      : "lr", "q0", "q1", "memory");
  return (int8_t)largest;
}

int32_t trecx_argmax_s8_mve(const int8_t *q, uint32_t n) {
  const int8_t largest = largest_of(q, n);
  for (uint32_t i = 0;; i += 16) {
    const mve_pred16_t inside = vctp8q(n - i);
    const uint32_t found = vcmpeqq_m_n_s8(vldrbq_z_s8(q + i, inside), largest, inside);
    if (found != 0) return (int32_t)(i + (uint32_t)__builtin_ctz(found));
  }
}
