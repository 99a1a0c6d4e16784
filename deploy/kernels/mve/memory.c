/* Bulk moves; see trecx/mve_memory.h. */
#include "trecx/mve_memory.h"

#define ALL_VECTORS "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7"

void trecx_mve_move(int8_t *destination, const int8_t *source, int32_t bytes) {
  uint32_t work;
  __asm__ volatile(
      "orr %[work], %[from], %[to] \n"
      "lsls %[work], %[work], #30 \n"
      "bne 2f \n" /* VLDM needs words */
      "lsrs %[work], %[bytes], #7 \n"
      "and %[bytes], %[bytes], #127 \n"
      "wls lr, %[work], 2f \n"
      "1: vldmia %[from]!, {d0-d15} \n"
      "vstmia %[to]!, {d0-d15} \n"
      "le lr, 1b \n"
      "2: wlstp.8 lr, %[bytes], 4f \n"
      "3: vldrb.u8 q0, [%[from]], #16 \n"
      "vstrb.8 q0, [%[to]], #16 \n"
      "letp lr, 3b \n"
      "4: \n"
      : [to] "+r"(destination), [from] "+r"(source), [bytes] "+r"(bytes), [work] "=&r"(work)
      :
      : "lr", ALL_VECTORS, "cc", "memory");
}

void trecx_mve_set(int8_t *destination, int32_t value, int32_t bytes) {
  __asm__ volatile(
      "vdup.8 q0, %[value] \n"
      "lsrs %[value], %[bytes], #7 \n"
      "beq 2f \n"
      "vmov q1, q0 \n"
      "vmov q2, q0 \n"
      "vmov q3, q0 \n"
      "vmov q4, q0 \n"
      "vmov q5, q0 \n"
      "vmov q6, q0 \n"
      "vmov q7, q0 \n"
      "and %[bytes], %[bytes], #127 \n"
      "dls lr, %[value] \n"
      "1: vstmia %[to]!, {d0-d15} \n"
      "le lr, 1b \n"
      "2: wlstp.8 lr, %[bytes], 4f \n"
      "3: vstrb.8 q0, [%[to]], #16 \n"
      "letp lr, 3b \n"
      "4: \n"
      : [to] "+r"(destination), [value] "+r"(value), [bytes] "+r"(bytes)
      :
      : "lr", ALL_VECTORS, "cc", "memory");
}
