/* Included by wide_inner.h. */
#ifndef TRECX_DSP_WIDE_ASM_H
#define TRECX_DSP_WIDE_ASM_H

#include "trecx/dsp/product_asm.h"
#include "trecx/dsp/requantize_asm.h"

/* clang-format off */

/* The frame holds: output, pixel step, end of the weights, tile, where the loop over all groups but
 * the first is entered, end of the tile, where it is left to. */

/* To the next two filters. */
#define WIDE_NEXT                \
  "cmp lr, r10\n\t"              \
  "str r8, [sp]\n\t"             \
  "bne 1b\n\t"                   \
  "add sp, sp, #28\n\t"          \
  "pop {r4-r11, pc}\n\t"         \
  ".balign 4\n"

#define WIDE_STORE               \
  "ldm sp, {r8, r9, r10, r12}\n\t" \
  "strb r1, [r8, r9]\n\t"        \
  "strb r0, [r8], #1\n\t"        \
  "strb r3, [r8, r9]\n\t"        \
  "strb r2, [r8], #1\n\t"        \
  WIDE_NEXT

/* The frame, and the first pair. HALVE: for a tile of one pixel. */
#define WIDE_BEGIN(HALVE, FIRST_GROUP, GROUP_BYTES) \
  "push {r4-r11, lr}\n\t"                 \
  "sub sp, sp, #28\n\t"                   \
  "ldm r0, {r4-r11}\n\t"                  \
  HALVE                                   \
  "mov lr, r11\n\t"                       \
  "mov r12, r7\n\t"                       \
  "cmp r10, #0\n\t"                       \
  "ite ne\n\t"                            \
  "adrne.w r10, 61f\n\t"                  \
  "adreq.w r10, 62f\n\t"                  \
  "add r10, r10, #1\n\t"                  \
  "adr.w r11, 2f\n\t"                     \
  "mov r0, #" GROUP_BYTES "\n\t"          \
  "mla r8, r8, r0, r11\n\t"               \
  "add r8, r8, #1\n\t"                    \
  "stm sp, {r4-r10}\n"                    \
  "1:\n\t" FIRST_GROUP                    \
  "ldr pc, [sp, #16]\n\t"                 \
  ".balign 4\n"                           \
  "2:\n\t"

#define WIDE_LOOP                \
  "ldrd r4, r5, [sp, #20]\n\t"   \
  "cmp r12, r4\n\t"              \
  "bne 2b\n\t"                   \
  "bx r5\n\t"                    \
  ".balign 4\n"

__attribute__((naked)) void trecx_wide_tile(const trecx_wide_run *run __attribute__((unused))) {
  __asm__ volatile(
      WIDE_BEGIN("", PRODUCT_FIRST_GROUP, "40") PRODUCT_SIXTEEN(PRODUCT_GROUP) WIDE_LOOP
      "61:\n\t"
      "ldm.w lr!, {r4-r7}\n\t"
      REQUANTIZE_FAST_2X2
      WIDE_STORE
      "62:\n\t"
      "ldm.w lr!, {r4-r7, r11, r12}\n\t"
      REQUANTIZE_GENERAL_2X2
      WIDE_STORE);
}

/* A single pixel: r0 r2 sums, r8 r10 inputs. */
#define WIDE_PRODUCTS_1           \
  "ldm.w r12!, {r8, r10}\n\t"     \
  "smlad r0, r4, r8, r0\n\t"      \
  "smlad r2, r5, r8, r2\n\t"      \
  "smlad r0, r6, r10, r0\n\t"     \
  "smlad r2, r7, r10, r2\n\t"

#define WIDE_GROUP_1 "ldm.w lr!, {r4-r7}\n\t" WIDE_PRODUCTS_1
#define WIDE_FIRST_GROUP_1 "ldm.w lr!, {r0, r2, r4-r7}\n\t" WIDE_PRODUCTS_1

#define WIDE_STORE_1             \
  "ldm sp, {r8, r9, r10, r12}\n\t" \
  "strb r0, [r8], #1\n\t"        \
  "strb r2, [r8], #1\n\t"        \
  WIDE_NEXT

__attribute__((naked)) void trecx_wide_pixel(const trecx_wide_run *run __attribute__((unused))) {
  __asm__ volatile(
      WIDE_BEGIN("sub r9, r9, r7\n\tadd r9, r7, r9, lsr #1\n\t", WIDE_FIRST_GROUP_1, "24")
      PRODUCT_SIXTEEN(WIDE_GROUP_1) WIDE_LOOP
      "61:\n\t"
      "ldm.w lr!, {r4-r7}\n\t"
      REQUANTIZE_FAST("r0", "r4", "r5") REQUANTIZE_FAST("r2", "r6", "r7")
      REQUANTIZE_SATURATE("r0") REQUANTIZE_SATURATE("r2")
      WIDE_STORE_1
      "62:\n\t"
      "ldm.w lr!, {r4-r9}\n\t"
      REQUANTIZE_GENERAL("r0", "r4", "r5", "r6") REQUANTIZE_GENERAL("r2", "r7", "r8", "r9")
      WIDE_STORE_1);
}

/* clang-format on */

#endif
