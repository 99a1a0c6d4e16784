/* Included by rowpair_inner.h. */
#ifndef TRECX_DSP_ROWPAIR_ASM_H
#define TRECX_DSP_ROWPAIR_ASM_H

#include "trecx/dsp/product_asm.h"
#include "trecx/dsp/requantize_asm.h"

/* clang-format off */

/* The frame, in bytes: 0 output, 4 pixel step, 8 row step, 12 end of the weights, 16 tile, 20 end of
 * the part of the tile, 24 where the loop is left to, 28 the sums P, 44 those of the upper row, 60
 * for each of the three parts: where the loop is entered, end of the tile, where it is left to. 96
 * the requantisation. */

/* To the groups of a part. */
#define ROWPAIR_PART(AT)         \
  "add r4, sp, #" AT "\n\t"      \
  "ldm r4, {r5, r6, r7}\n\t"     \
  "strd r6, r7, [sp, #20]\n\t"   \
  "bx r5\n\t"                    \
  ".balign 4\n"

/* Store a part of the frame: skip and end in A and B, left to LABEL. r11 the loop, r12 bytes of a
 * group. */
#define ROWPAIR_PREPARE(A, B, LABEL, AT)  \
  "mla " A ", " A ", r12, r11\n\t"        \
  "adr.w lr, " LABEL "\n\t"               \
  "add lr, lr, #1\n\t"                    \
  "strd " A ", " B ", [sp, #" AT "]\n\t"  \
  "str lr, [sp, #" AT " + 8]\n\t"

#define ROWPAIR_STORE            \
  "strb r1, [r8, r9]\n\t"        \
  "strb r0, [r8], #1\n\t"        \
  "strb r3, [r8, r9]\n\t"        \
  "strb r2, [r8], #1\n\t"

#define ROWPAIR_UPPER            \
  "add r8, sp, #44\n\t"          \
  "ldm r8, {r0-r3}\n\t"

#define ROWPAIR_NEXT             \
  "ldm sp, {r8, r9}\n\t"         \
  ROWPAIR_STORE                  \
  "ldrd r10, r12, [sp, #12]\n\t" \
  "str r8, [sp]\n\t"             \
  "cmp lr, r10\n\t"              \
  "bne.w 1b\n\t"                 \
  "add sp, sp, #100\n\t"         \
  "pop {r4-r11, pc}\n\t"         \
  ".balign 4\n"

__attribute__((naked)) void trecx_rowpair_tile(
    const trecx_rowpair_run *run __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "sub sp, sp, #100\n\t"
      "ldm r0!, {r4-r10}\n\t"
      "stm sp, {r4-r8}\n\t"
      "cmp r9, #0\n\t"
      "ite ne\n\t"
      "adrne.w r9, 61f\n\t"
      "adreq.w r9, 62f\n\t"
      "add r9, r9, #1\n\t"
      "str r9, [sp, #96]\n\t"
      "ldm r0, {r1-r6}\n\t"
      "adr.w r11, 2f\n\t"
      "add r11, r11, #1\n\t"
      "mov r12, #40\n\t"
      ROWPAIR_PREPARE("r1", "r2", "51f", "60")
      ROWPAIR_PREPARE("r3", "r4", "52f", "72")
      ROWPAIR_PREPARE("r5", "r6", "53f", "84")
      "mov lr, r10\n\t"
      "mov r12, r8\n"
      "1:\n\t" PRODUCT_FIRST_GROUP
      ROWPAIR_PART("60")
      "2:\n\t" PRODUCT_SIXTEEN(PRODUCT_GROUP)
      "ldrd r4, r5, [sp, #20]\n\t"
      "cmp r12, r4\n\t"
      "bne 2b\n\t"
      "bx r5\n\t"
      ".balign 4\n"
      "51:\n\t"
      "add r4, sp, #28\n\t"
      "stm r4, {r0-r3}\n\t"
      ROWPAIR_PART("72")
      "52:\n\t"
      "add r4, sp, #44\n\t"
      "stm r4, {r0-r3}\n\t"
      "sub r4, r4, #16\n\t"
      "ldm r4, {r0-r3}\n\t"
      ROWPAIR_PART("84")
      "53:\n\t"
      "ldm sp, {r8, r9, r10}\n\t"
      "ldr r11, [sp, #96]\n\t"
      "add r8, r8, r10\n\t"
      "bx r11\n\t"
      ".balign 4\n"
      "61:\n\t"
      "ldm.w lr!, {r4-r7}\n\t"
      REQUANTIZE_FAST_2X2
      ROWPAIR_STORE
      ROWPAIR_UPPER
      REQUANTIZE_FAST_2X2
      ROWPAIR_NEXT
      "62:\n\t"
      "ldm.w lr!, {r4-r7, r11, r12}\n\t"
      REQUANTIZE_GENERAL_2X2
      ROWPAIR_STORE
      ROWPAIR_UPPER
      REQUANTIZE_GENERAL_2X2
      ROWPAIR_NEXT);
}

/* clang-format on */

#endif
