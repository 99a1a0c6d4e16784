/* Included by wide_inner.h. */
#ifndef TRECX_DSP_WIDE_ASM_H
#define TRECX_DSP_WIDE_ASM_H

#include "trecx/dsp/product_asm.h"
#include "trecx/dsp/requantize_asm.h"

/* clang-format off */

/* To the next two filters; the frame begins with output, pixel step, end of the weights, tile. */
#define WIDE_NEXT(FRAME_BYTES)     \
  "cmp lr, r10\n\t"                \
  "str r8, [sp]\n\t"               \
  "bne 1b\n\t"                     \
  "add sp, sp, #" FRAME_BYTES "\n\t" \
  "pop {r4-r11, pc}\n\t"           \
  ".balign 4\n"

#define WIDE_STORE               \
  "ldm sp, {r8, r9, r10, r12}\n\t" \
  "strb r1, [r8, r9]\n\t"        \
  "strb r0, [r8], #1\n\t"        \
  "strb r3, [r8, r9]\n\t"        \
  "strb r2, [r8], #1\n\t"        \
  WIDE_NEXT("32")

/* The frame is the beginning of the run. Sixteen groups are left to the requantisation or, where
 * there are more, to a test for the end of the tile. */
__attribute__((naked, noinline)) void trecx_wide_tile(
    const trecx_wide_run *run __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r0, {r4-r11, lr}\n\t"
      "push {r4-r11}\n\t"
      "mov r12, r7\n"
      "1:\n\t" PRODUCT_FIRST_GROUP
      "ldr pc, [sp, #16]\n\t"
      ".balign 4\n"
      "trecx_wide_groups:\n\t" PRODUCT_SIXTEEN(PRODUCT_GROUP)
      "ldr pc, [sp, #20]\n\t"
      ".balign 4\n"
      "trecx_wide_turn:\n\t"
      "ldr r4, [sp, #24]\n\t"
      "cmp r12, r4\n\t"
      "bne trecx_wide_groups\n\t"
      "ldr pc, [sp, #28]\n\t"
      ".balign 4\n"
      "trecx_wide_fast:\n\t"
      "ldm.w lr!, {r4-r7}\n\t"
      REQUANTIZE_FAST_2X2
      WIDE_STORE
      "trecx_wide_general:\n\t"
      "ldm.w lr!, {r4-r7, r11, r12}\n\t"
      REQUANTIZE_GENERAL_2X2
      WIDE_STORE);
}

/* Places in the code above. */
extern const char trecx_wide_groups[], trecx_wide_turn[], trecx_wide_fast[], trecx_wide_general[];

#define WIDE_GROUP_BYTES 40 /* of code */

void trecx_wide_prepare(trecx_wide_run *run) {
  const int32_t one_turn = run->tile_end - run->tile <= 4 * 17;
  run->requantize = (uintptr_t)(run->fast ? trecx_wide_fast : trecx_wide_general) | 1u;
  run->exit = one_turn ? run->requantize : (uintptr_t)trecx_wide_turn | 1u;
  run->entry = (uintptr_t)(trecx_wide_groups + WIDE_GROUP_BYTES * run->skip) | 1u;
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
  WIDE_NEXT("28")

/* Frame, after what all have: entry, end of the tile, where the loop is left to. */
__attribute__((naked)) void trecx_wide_pixel(const trecx_wide_run *run __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "sub sp, sp, #28\n\t"
      "ldm r0, {r4-r12, lr}\n\t"       /* r10 tile end, r12 weights, lr fast */
      "ldr r8, [r0, #40]\n\t"
      "mov r0, #24\n\t"
      "cmp lr, #0\n\t"
      "mov lr, r12\n\t"
      "sub r9, r10, r7\n\t"
      "add r9, r7, r9, lsr #1\n\t"
      "ite ne\n\t"
      "adrne.w r10, 61f\n\t"
      "adreq.w r10, 62f\n\t"
      "add r10, r10, #1\n\t"
      "adr.w r11, 2f\n\t"
      "mla r8, r8, r0, r11\n\t"
      "add r8, r8, #1\n\t"
      "mov r12, r7\n\t"
      "stm sp, {r4-r10}\n"
      "1:\n\t" WIDE_FIRST_GROUP_1
      "ldr pc, [sp, #16]\n\t"
      ".balign 4\n"
      "2:\n\t" PRODUCT_SIXTEEN(WIDE_GROUP_1)
      "ldrd r4, r5, [sp, #20]\n\t"
      "cmp r12, r4\n\t"
      "bne 2b\n\t"
      "bx r5\n\t"
      ".balign 4\n"
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
