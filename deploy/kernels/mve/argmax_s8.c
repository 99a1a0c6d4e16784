/* Index of the largest value: the largest one is found first, then its first place. */
#include "trecx/kernels/argmax_s8_mve.h"

int32_t trecx_argmax_s8_mve(const int8_t *q, uint32_t n) {
  const int8_t *at = q;
  uint32_t found; /* a bit for each byte that is the largest */
  __asm__ volatile(
      "vmov.i8 q1, #0x80 \n"
      "dlstp.8 lr, %[n] \n"
      "1: vldrb.u8 q0, [%[at]], #16 \n"
      "vmax.s8 q1, q1, q0 \n"
      "letp lr, 1b \n"
      "mvn lr, #127 \n"
      "vmaxv.s8 lr, q1 \n"
      "mov %[at], %[q] \n"
      "2: vctp.8 %[n] \n"
      "vpstt \n"
      "vldrbt.u8 q0, [%[at]], #16 \n"
      "vcmpt.i8 eq, q0, lr \n"
      "subs %[n], %[n], #16 \n"
      "vmrs %[found], p0 \n"
      "cmp %[found], #0 \n"
      "beq 2b \n"
      : [at] "+r"(at), [n] "+r"(n), [found] "=&r"(found)
      : [q] "r"(q)
      : "lr", "q0", "q1", "cc", "memory");
  return (int32_t)(at - q) - 16 + __builtin_ctz(found);
}
