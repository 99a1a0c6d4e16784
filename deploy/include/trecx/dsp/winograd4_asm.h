/* Included by winograd4_inner.h. */
#ifndef TRECX_DSP_WINOGRAD4_ASM_H
#define TRECX_DSP_WINOGRAD4_ASM_H

/* clang-format off */

/* The transform of six values d0 to d5 in r0 to r4 and r8, whole words at a time: a word is the sum of
 * its lower lane and 2^16 times its upper one, so that additions and shifts need not look at lanes.
 * Results in r0, r1, r3, r4, r6, r8. OFFSET_A, OFFSET_C, OFFSET_5: nothing, or what adds the lane
 * offset to all of them. */
#define WINOGRAD4_SIX(OFFSET_A, OFFSET_C, OFFSET_5)          \
  "sub r6, r4, r2\n\t"             /* a = d4 - d2 */         \
  "sub r7, r3, r1\n\t"             /* b = d3 - d1 */         \
  OFFSET_A                                                   \
  "sub r0, r0, r2\n\t"                                       \
  "add r0, r6, r0, lsl #2\n\t"     /* 4 d0 - 5 d2 + d4 */    \
  "sub r8, r8, r3\n\t"                                       \
  "sub r8, r8, r7, lsl #2\n\t"     /* 4 d1 - 5 d3 + d5 */    \
  OFFSET_5                                                   \
  "sub r2, r4, r2, lsl #2\n\t"     /* c = d4 - 4 d2 */       \
  "sub r1, r3, r1, lsl #2\n\t"     /* e = d3 - 4 d1 */       \
  OFFSET_C                                                   \
  "sub r3, r2, r1\n\t"             /* c - e */               \
  "add r1, r2, r1\n\t"             /* c + e */               \
  "add r4, r6, r7, lsl #1\n\t"     /* a + 2 b */             \
  "sub r6, r6, r7, lsl #1\n\t"     /* a - 2 b */

/* Two of four channels (ROTATE picks them) of six rows of pixels to six rows of words. r9 input, r10
 * r11 one and three pixels, r12 lanes of 128, lr temporary; [sp] row, [sp, #4] end of temporary. */
#define WINOGRAD4_ROWS(ROTATE)                \
  "1:\n\t"                                    \
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
  "sxtab16 r4, r12, r4" ROTATE "\n\t"         \
  "sxtab16 r8, r12, r8" ROTATE "\n\t"         \
  WINOGRAD4_SIX("", "", "")                   \
  "ldrd r2, r5, [sp]\n\t"                     \
  "stm lr!, {r0, r1, r3, r4, r6, r8}\n\t"     \
  "add r9, r9, r2\n\t"                        \
  "cmp lr, r5\n\t"                            \
  "bne 1b\n\t"

/* Six columns of words to the points. r9 output, r10 r11 one and three points, lr temporary, r5 end
 * of its first row. */
#define WINOGRAD4_COLUMNS                     \
  "2:\n\t"                                    \
  "ldr r0, [lr], #4\n\t"                      \
  "ldr r1, [lr, #20]\n\t"                     \
  "ldr r2, [lr, #44]\n\t"                     \
  "ldr r3, [lr, #68]\n\t"                     \
  "ldr r4, [lr, #92]\n\t"                     \
  "ldr r8, [lr, #116]\n\t"                    \
  WINOGRAD4_SIX("add r6, r6, #0x4000\n\t", "add r2, r2, #0x4000\n\t", "add r8, r8, #0x4000\n\t") \
  "add r2, r9, r10\n\t"                       \
  "str r0, [r9]\n\t"                          \
  "str r1, [r9, r10]\n\t"                     \
  "str r3, [r9, r10, lsl #1]\n\t"             \
  "str r4, [r9, r11]\n\t"                     \
  "str r6, [r9, r10, lsl #2]\n\t"             \
  "str r8, [r2, r10, lsl #2]\n\t"             \
  "cmp lr, r5\n\t"                            \
  "add r9, r9, r11, lsl #1\n\t"               \
  "bne 2b\n\t"

/* One half of the channels. Frame: row, end of temporary, input, pixel, temporary, output, point. */
#define WINOGRAD4_HALF(ROTATE)                \
  "ldrd r9, r10, [sp, #8]\n\t"                \
  "ldr lr, [sp, #16]\n\t"                     \
  "mov r12, #0x00800080\n\t"                  \
  "add r11, r10, r10, lsl #1\n"               \
  WINOGRAD4_ROWS(ROTATE)                      \
  "ldr lr, [sp, #16]\n\t"                     \
  "ldrd r9, r10, [sp, #20]\n\t"               \
  "add r5, lr, #24\n\t"                       \
  "add r11, r10, r10, lsl #1\n"               \
  WINOGRAD4_COLUMNS

static __attribute__((naked, noinline)) void trecx_winograd4_transform(
    const trecx_winograd4_input *in __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "sub sp, sp, #28\n\t"
      "ldm r0, {r1, r2, r3, r4, r5, r6}\n\t"
      "add r7, r4, #144\n\t"
      "strd r3, r7, [sp]\n\t"
      "strd r1, r2, [sp, #8]\n\t"
      "strd r4, r5, [sp, #16]\n\t"
      "str r6, [sp, #24]\n\t"
      WINOGRAD4_HALF("")
      "ldr r0, [sp, #20]\n\t"
      "adds r0, r0, #8\n\t"
      "str r0, [sp, #20]\n\t"
      WINOGRAD4_HALF(", ror #8")
      "add sp, sp, #28\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* Four input channels: r4 to r7 weights, r8 to r11 inputs. */
#define WINOGRAD4_GROUP           \
  "ldm.w lr!, {r4-r7}\n\t"        \
  "ldm.w r12!, {r8-r11}\n\t"      \
  "smlad r0, r4, r8, r0\n\t"      \
  "smlad r1, r4, r9, r1\n\t"      \
  "smlad r2, r5, r8, r2\n\t"      \
  "smlad r3, r5, r9, r3\n\t"      \
  "smlad r0, r6, r10, r0\n\t"     \
  "smlad r1, r6, r11, r1\n\t"     \
  "smlad r2, r7, r10, r2\n\t"     \
  "smlad r3, r7, r11, r3\n\t"

#define WINOGRAD4_FOUR_GROUPS WINOGRAD4_GROUP WINOGRAD4_GROUP WINOGRAD4_GROUP WINOGRAD4_GROUP

/* Registers: r0 to r3 sums of filters (first: r0 r1) and tiles, r12 tiles, lr filters. */
static __attribute__((naked, noinline)) void trecx_winograd4_multiply(
    const trecx_winograd4_product *product __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "sub sp, sp, #12\n\t"
      "ldm r0, {r1, r2, r3, r12, lr}\n\t"
      "stm sp, {r1, r2, r3}\n"
      "1:\n\t"
      "ldr r4, [sp]\n\t"
      "ldm lr!, {r0, r2}\n\t"
      "mov r1, r0\n\t"
      "mov r3, r2\n\t"
      "tbh [pc, r4, lsl #1]\n"
      "2:\n\t"
      ".hword (3f - 2b) / 2, (3f - 2b) / 2 + 20, (3f - 2b) / 2 + 40, (3f - 2b) / 2 + 60\n\t"
      ".hword (3f - 2b) / 2 + 80, (3f - 2b) / 2 + 100, (3f - 2b) / 2 + 120, (3f - 2b) / 2 + 140\n\t"
      ".hword (3f - 2b) / 2 + 160, (3f - 2b) / 2 + 180, (3f - 2b) / 2 + 200, (3f - 2b) / 2 + 220\n\t"
      ".hword (3f - 2b) / 2 + 240, (3f - 2b) / 2 + 260, (3f - 2b) / 2 + 280, (3f - 2b) / 2 + 300\n"
      "3:\n\t" WINOGRAD4_FOUR_GROUPS WINOGRAD4_FOUR_GROUPS WINOGRAD4_FOUR_GROUPS
      WINOGRAD4_FOUR_GROUPS
      "ldrd r4, r5, [sp, #4]\n\t"
      "str r1, [r4, #144]\n\t"
      "str r2, [r4, #288]\n\t"
      "str r3, [r4, #432]\n\t"
      "str r0, [r4], #4\n\t"
      "str r4, [sp, #4]\n\t"
      "cmp r4, r5\n\t"
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

/* r3 multiplier, r4 offset, r5 shift, r6 pixel; 64 times the outputs in r8 to r11. */
#define WINOGRAD4_SCALE             \
  "ldm r12!, {r0-r5}\n\t"           \
  WINOGRAD4_FOUR                    \
  "ldm sp, {r3-r7}\n\t"             \
  "ldm r7!, {r0, r1, r2}\n\t"       \
  "mul r8, r8, r0\n\t"              \
  "mul r9, r9, r1\n\t"              \
  "mul r10, r10, r2\n\t"            \
  "mul r11, r11, r2\n\t"            \
  "str r7, [sp, #16]\n\t"

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

#define WINOGRAD4_STORE(LOOP)           \
  "add r0, lr, r6\n\t"                  \
  "strb r8, [lr]\n\t"                   \
  "strb r9, [lr, r6]\n\t"               \
  "strb r10, [lr, r6, lsl #1]\n\t"      \
  "strb r11, [r0, r6, lsl #1]\n\t"      \
  "ldrd r0, r1, [sp, #20]\n\t"          \
  "add lr, lr, r0\n\t"                  \
  "cmp r12, r1\n\t"                     \
  "bne " LOOP "b\n\t"                   \
  "add sp, sp, #28\n\t"                 \
  "pop {r4-r11, pc}\n\t"

/* Frame: multiplier, offset, shift, pixel, factors, row, end of temporary. */
static __attribute__((naked, noinline)) void trecx_winograd4_finish(
    const trecx_winograd4_output *out __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "sub sp, sp, #28\n\t"
      "ldm r0, {r1-r10}\n\t"
      "stm sp, {r1-r6}\n\t"
      "mov lr, r9\n\t"
      "mov r12, r8\n\t"
      "add r11, r9, #24\n\t"
      "str r11, [sp, #24]\n\t"
      "push {r7, r10}\n"
      "1:\n\t" /* columns */
      "ldm r12!, {r0-r5}\n\t"
      WINOGRAD4_FOUR
      "ldr r0, [sp, #32]\n\t"
      "str r9, [lr, #24]\n\t"
      "str r10, [lr, #48]\n\t"
      "str r11, [lr, #72]\n\t"
      "str r8, [lr], #4\n\t"
      "cmp lr, r0\n\t"
      "bne 1b\n\t"
      "sub r12, lr, #24\n\t"
      "add r0, lr, #72\n\t"
      "str r0, [sp, #32]\n\t"
      "pop {r7, lr}\n\t"
      "cmp r7, #0\n\t"
      "beq 3f\n"
      "2:\n\t" WINOGRAD4_SCALE
      WINOGRAD4_FAST("r8") WINOGRAD4_FAST("r9") WINOGRAD4_FAST("r10") WINOGRAD4_FAST("r11")
      WINOGRAD4_STORE("2")
      "3:\n\t" WINOGRAD4_SCALE
      WINOGRAD4_GENERAL("r8") WINOGRAD4_GENERAL("r9")
      WINOGRAD4_GENERAL("r10") WINOGRAD4_GENERAL("r11")
      WINOGRAD4_STORE("3"));
}

/* clang-format on */

#endif
