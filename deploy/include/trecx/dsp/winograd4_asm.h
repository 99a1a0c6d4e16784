/* Included by winograd4_inner.h. */
#ifndef TRECX_DSP_WINOGRAD4_ASM_H
#define TRECX_DSP_WINOGRAD4_ASM_H

#include "trecx/dsp/product_asm.h"

/* clang-format off */

/* The transform of six values d0 to d5 in r0 to r4 and r8, whole words at a time: a word is the sum of
 * its lower lane and 2^16 times its upper one, so that additions and shifts need not look at lanes.
 * Results in r0, r1, r3, r4, r6, r8. */
#define WINOGRAD4_SIX                                        \
  "sub r6, r4, r2\n\t"             /* a = d4 - d2 */         \
  "sub r7, r3, r1\n\t"             /* b = d3 - d1 */         \
  "sub r0, r0, r2\n\t"                                       \
  "add r0, r6, r0, lsl #2\n\t"     /* 4 d0 - 5 d2 + d4 */    \
  "sub r8, r8, r3\n\t"                                       \
  "sub r8, r8, r7, lsl #2\n\t"     /* 4 d1 - 5 d3 + d5 */    \
  "sub r2, r4, r2, lsl #2\n\t"     /* c = d4 - 4 d2 */       \
  "sub r1, r3, r1, lsl #2\n\t"     /* e = d3 - 4 d1 */       \
  "sub r3, r2, r1\n\t"             /* c - e */               \
  "add r1, r2, r1\n\t"             /* c + e */               \
  "add r4, r6, r7, lsl #1\n\t"     /* a + 2 b */             \
  "sub r6, r6, r7, lsl #1\n\t"     /* a - 2 b */

/* Two of four channels (ROTATE picks them) of a row of pixels to a row of words. r9 input, r10 r11
 * one and three pixels, r5 row, r12 lanes of 128, lr temporary.
 *
 * The lane offset is added to d4 and d5 in both directions, that is, to four pixels of the tile
 * (OFFSET and BACK in the last two rows): it then arrives in all 36 points. */
#define WINOGRAD4_ROW(ROTATE, OFFSET, BACK)   \
  "ldr r0, [r9]\n\t"                          \
  "ldr r1, [r9, r10]\n\t"                     \
  "ldr r2, [r9, r10, lsl #1]\n\t"             \
  "ldr r3, [r9, r11]\n\t"                     \
  "add r8, r9, r10\n\t"                       \
  "ldr r4, [r9, r10, lsl #2]\n\t"             \
  "ldr r8, [r8, r10, lsl #2]\n\t"             \
  "sxtab16 r0, r12, r0" ROTATE "\n\t"         \
  "sxtab16 r1, r12, r1" ROTATE "\n\t"         \
  "sxtab16 r2, r12, r2" ROTATE "\n\t"         \
  "sxtab16 r3, r12, r3" ROTATE "\n\t"         \
  OFFSET                                      \
  "sxtab16 r4, r12, r4" ROTATE "\n\t"         \
  "sxtab16 r8, r12, r8" ROTATE "\n\t"         \
  BACK                                        \
  WINOGRAD4_SIX                               \
  "add r9, r9, r5\n\t"                        \
  "stm lr!, {r0, r1, r3, r4, r6, r8}\n\t"

#define WINOGRAD4_SIX_ROWS(ROTATE)                          \
  WINOGRAD4_ROW(ROTATE, "", "") WINOGRAD4_ROW(ROTATE, "", "") \
  WINOGRAD4_ROW(ROTATE, "", "") WINOGRAD4_ROW(ROTATE, "", "") \
  WINOGRAD4_ROW(ROTATE, "add r12, r12, #0x4000\n\t", "sub r12, r12, #0x4000\n\t") \
  WINOGRAD4_ROW(ROTATE, "add r12, r12, #0x4000\n\t", "sub r12, r12, #0x4000\n\t")

/* A column of words to the points. r9 output, r10 r11 one and three points, lr temporary. */
#define WINOGRAD4_COLUMN                      \
  "ldr r0, [lr], #4\n\t"                      \
  "ldr r1, [lr, #20]\n\t"                     \
  "ldr r2, [lr, #44]\n\t"                     \
  "ldr r3, [lr, #68]\n\t"                     \
  "ldr r4, [lr, #92]\n\t"                     \
  "ldr r8, [lr, #116]\n\t"                    \
  WINOGRAD4_SIX                               \
  "add r2, r9, r10\n\t"                       \
  "str r0, [r9]\n\t"                          \
  "str r1, [r9, r10]\n\t"                     \
  "str r3, [r9, r10, lsl #1]\n\t"             \
  "str r4, [r9, r11]\n\t"                     \
  "str r6, [r9, r10, lsl #2]\n\t"             \
  "str r8, [r2, r10, lsl #2]\n\t"             \
  "add r9, r9, r11, lsl #1\n\t"

#define WINOGRAD4_THREE_COLUMNS WINOGRAD4_COLUMN WINOGRAD4_COLUMN WINOGRAD4_COLUMN

/* One half of the channels. Frame: row, input, pixel, temporary, output, point. */
#define WINOGRAD4_HALF(ROTATE)                \
  "ldm sp, {r5, r9, r10, lr}\n\t"             \
  "mov r12, #0x00800080\n\t"                  \
  "add r11, r10, r10, lsl #1\n\t"             \
  WINOGRAD4_SIX_ROWS(ROTATE)                  \
  "sub lr, lr, #144\n\t"                      \
  "ldrd r9, r10, [sp, #16]\n\t"               \
  "add r11, r10, r10, lsl #1\n\t"             \
  WINOGRAD4_THREE_COLUMNS WINOGRAD4_THREE_COLUMNS

static __attribute__((naked, noinline)) void trecx_winograd4_transform(
    const trecx_winograd4_input *in __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "sub sp, sp, #28\n\t"
      "ldm r0, {r1-r6}\n\t"
      "str r3, [sp]\n\t"
      "strd r1, r2, [sp, #4]\n\t"
      "strd r4, r5, [sp, #12]\n\t"
      "str r6, [sp, #20]\n\t"
      WINOGRAD4_HALF("")
      "ldr r0, [sp, #16]\n\t"
      "adds r0, r0, #8\n\t"
      "str r0, [sp, #16]\n\t"
      WINOGRAD4_HALF(", ror #8")
      "add sp, sp, #28\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* Frame: where the loop over the groups is entered, sums, end of the first filter's and tile's. */
static __attribute__((naked, noinline)) void trecx_winograd4_multiply(
    const trecx_winograd4_product *product __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "sub sp, sp, #12\n\t"
      "ldm r0, {r1, r2, r3, r12, lr}\n\t"
      "adr.w r4, 2f\n\t"
      "mov r5, #40\n\t"
      "mla r1, r1, r5, r4\n\t"
      "add r1, r1, #1\n\t"
      "stm sp, {r1, r2, r3}\n"
      "1:\n\t" PRODUCT_FIRST_GROUP
      "ldr pc, [sp]\n\t"
      ".balign 4\n"
      "2:\n\t" PRODUCT_FIFTEEN(PRODUCT_GROUP)
      "ldrd r4, r5, [sp, #4]\n\t"
      "str r1, [r4, #144]\n\t"
      "str r2, [r4, #288]\n\t"
      "str r3, [r4, #432]\n\t"
      "str r0, [r4], #4\n\t"
      "cmp r4, r5\n\t"
      "str r4, [sp, #4]\n\t"
      "bne 1b\n\t"
      "add sp, sp, #12\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* Six values r0 to r5 to four, r8 to r11, which are the outputs divided by 1, 2, 4 and 4. */
#define WINOGRAD4_FOUR              \
  "add r6, r1, r2\n\t"              \
  "sub r1, r1, r2\n\t"              \
  "add r7, r3, r4\n\t"              \
  "sub r3, r3, r4\n\t"              \
  "add r8, r7, r6, lsl #2\n\t"      \
  "add r8, r8, r0, lsl #1\n\t"      \
  "add r9, r3, r1, lsl #1\n\t"      \
  "add r10, r6, r7\n\t"             \
  "add r11, r1, r3, lsl #1\n\t"     \
  "add r11, r11, r5, lsl #1\n\t"

/* r3 multiplier, r4 offset, r5 shift, r6 pixel; 64 times the outputs in r8 to r11. FACTORS: where
 * the row's are, from r7 on. */
#define WINOGRAD4_SCALE(FACTORS)    \
  "ldm r12!, {r0-r5}\n\t"           \
  WINOGRAD4_FOUR                    \
  "ldm sp, {r3-r7}\n\t"             \
  FACTORS                           \
  "ldm r7, {r0, r1, r2}\n\t"        \
  "mul r8, r8, r0\n\t"              \
  "mul r9, r9, r1\n\t"              \
  "mul r10, r10, r2\n\t"            \
  "mul r11, r11, r2\n\t"

#define WINOGRAD4_FAST(X)               \
  "asr " X ", " X ", r5\n\t"            \
  "smmla " X ", " X ", r3, r4\n\t"      \
  "ssat " X ", #8, " X ", asr #12\n\t"

#define WINOGRAD4_GENERAL(X)            \
  "add r0, r4, " X ", asr #31\n\t"      \
  "asr " X ", " X ", #5\n\t"            \
  "smmlar " X ", " X ", r3, r0\n\t"     \
  "asr " X ", " X ", r5\n\t"            \
  "ssat " X ", #8, " X ", asr #1\n\t"

#define WINOGRAD4_STORE                 \
  "add r0, lr, r6\n\t"                  \
  "strb r8, [lr]\n\t"                   \
  "strb r9, [lr, r6]\n\t"               \
  "strb r10, [lr, r6, lsl #1]\n\t"      \
  "strb r11, [r0, r6, lsl #1]\n\t"

#define WINOGRAD4_NEXT_ROW              \
  "ldr r0, [sp, #20]\n\t"               \
  "add lr, lr, r0\n\t"

#define WINOGRAD4_FAST_ROW(FACTORS) WINOGRAD4_SCALE(FACTORS) \
  WINOGRAD4_FAST("r8") WINOGRAD4_FAST("r9") WINOGRAD4_FAST("r10") WINOGRAD4_FAST("r11") \
  WINOGRAD4_STORE

#define WINOGRAD4_GENERAL_ROW(FACTORS) WINOGRAD4_SCALE(FACTORS) \
  WINOGRAD4_GENERAL("r8") WINOGRAD4_GENERAL("r9") \
  WINOGRAD4_GENERAL("r10") WINOGRAD4_GENERAL("r11") \
  WINOGRAD4_STORE

#define WINOGRAD4_FOUR_ROWS(ROW)        \
  ROW("") WINOGRAD4_NEXT_ROW            \
  ROW("adds r7, r7, #12\n\t") WINOGRAD4_NEXT_ROW \
  ROW("adds r7, r7, #24\n\t") WINOGRAD4_NEXT_ROW \
  ROW("adds r7, r7, #24\n\t")           \
  "add sp, sp, #28\n\t"                 \
  "pop {r4-r11, pc}\n\t"

/* A column of sums, r12, to one of the temporary words, lr. */
#define WINOGRAD4_SUMS                  \
  "ldm r12!, {r0-r5}\n\t"               \
  WINOGRAD4_FOUR                        \
  "str r9, [lr, #24]\n\t"               \
  "str r10, [lr, #48]\n\t"              \
  "str r11, [lr, #72]\n\t"              \
  "str r8, [lr], #4\n\t"

/* Frame: multiplier, offset, shift, pixel, factors, row. */
static __attribute__((naked, noinline)) void trecx_winograd4_finish(
    const trecx_winograd4_output *out __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "sub sp, sp, #28\n\t"
      "ldm r0, {r1-r10}\n\t"
      "stm sp, {r1-r6}\n\t"
      "mov lr, r9\n\t"
      "mov r12, r8\n\t"
      "push {r7, r10}\n\t"
      WINOGRAD4_SUMS WINOGRAD4_SUMS WINOGRAD4_SUMS
      WINOGRAD4_SUMS WINOGRAD4_SUMS WINOGRAD4_SUMS
      "sub r12, lr, #24\n\t"
      "pop {r7, lr}\n\t"
      "cmp r7, #0\n\t"
      "beq.w 3f\n\t"
      WINOGRAD4_FOUR_ROWS(WINOGRAD4_FAST_ROW)
      "3:\n\t"
      WINOGRAD4_FOUR_ROWS(WINOGRAD4_GENERAL_ROW));
}

/* clang-format on */

#endif
