/* Included by depthwise_inner.h. */
#ifndef TRECX_DSP_DEPTHWISE_ASM_H
#define TRECX_DSP_DEPTHWISE_ASM_H

/* clang-format off */

#define DEPTHWISE_FUNCTION static __attribute__((naked, noinline, unused)) void

/* Registers: r0 to r5 the sums, r6 to r9 inputs, r10 r11 weights of a kernel row, r12 strip, lr the
 * channel's entry. The frame is the beginning of the run: output, pixel step, entry point, row
 * step, end of the output, gaps of strip and output, channels. */

#define DEPTHWISE_BEGIN                          \
  "push {r4-r11, lr}\n\t"                        \
  "ldm r0, {r2-r11}\n\t"                         \
  "push {r2-r9}\n\t"                             \
  "mov r12, r10\n\t"                             \
  "mov lr, r11\n"                                \
  "1:\n\t"

/* The weights of the first kernel row bring the bias along, which goes to r5. */
#define DEPTHWISE_WEIGHTS_0 "ldm.w lr, {r5, r10, r11}\n\t"
#define DEPTHWISE_WEIGHTS_1 "ldrd r10, r11, [lr, #12]\n\t"
#define DEPTHWISE_WEIGHTS_2 "ldrd r10, r11, [lr, #20]\n\t"

/* A sum from the words X0 (inputs 0, 1) and X1 (inputs 2, 3) for an output at an even position of
 * the strip, or an odd one. FROM: what it begins with. */
#define DEPTHWISE_EVEN(SUM, FROM, X0, X1)              \
  "smlad " SUM ", r10, " X0 ", " FROM "\n\t"           \
  "smlatb " SUM ", r11, " X1 ", " SUM "\n\t"

#define DEPTHWISE_ODD(SUM, FROM, X0, X1)               \
  "smlabt " SUM ", r10, " X0 ", " FROM "\n\t"          \
  "smlad " SUM ", r11, " X1 ", " SUM "\n\t"

#define DEPTHWISE_FIVE(F0, F1, F2, F3, F4)        \
  DEPTHWISE_EVEN("r0", F0, "r6", "r7")            \
  DEPTHWISE_ODD("r1", F1, "r6", "r7")             \
  DEPTHWISE_EVEN("r2", F2, "r7", "r8")            \
  DEPTHWISE_ODD("r3", F3, "r7", "r8")             \
  DEPTHWISE_EVEN("r4", F4, "r8", "r9")

#define DEPTHWISE_ROW_5(WEIGHTS, F0, F1, F2, F3, F4) \
  "ldm.w r12!, {r6-r9}\n\t" WEIGHTS DEPTHWISE_FIVE(F0, F1, F2, F3, F4)

#define DEPTHWISE_ROW_1(WEIGHTS, F0, F1, F2, F3, F4) \
  DEPTHWISE_ROW_5(WEIGHTS, F0, F1, F2, F3, F4) DEPTHWISE_ODD("r5", "r5", "r8", "r9")

#define DEPTHWISE_ROW_2(WEIGHTS, F0, F1, F2, F3, F4) \
  "ldm.w r12!, {r6-r9}\n\t" WEIGHTS                  \
  DEPTHWISE_EVEN("r0", F0, "r6", "r7")               \
  DEPTHWISE_EVEN("r1", F1, "r7", "r8")               \
  DEPTHWISE_EVEN("r2", F2, "r8", "r9")               \
  "ldm.w r12!, {r6-r8}\n\t"                          \
  DEPTHWISE_EVEN("r3", F3, "r9", "r6")               \
  DEPTHWISE_EVEN("r4", F4, "r6", "r7")               \
  DEPTHWISE_EVEN("r5", "r5", "r7", "r8")

#define DEPTHWISE_THREE_ROWS(ROW)                          \
  ROW(DEPTHWISE_WEIGHTS_0, "r5", "r5", "r5", "r5", "r5")   \
  ROW(DEPTHWISE_WEIGHTS_1, "r0", "r1", "r2", "r3", "r4")   \
  ROW(DEPTHWISE_WEIGHTS_2, "r0", "r1", "r2", "r3", "r4")

/* r6 multiplier, r7 offset, r9 output, r10 pixel step, r8 the second pixel's output; jumps to the
 * last output of the row. */
#define DEPTHWISE_REQUANTIZE_BEGIN   \
  "ldm sp, {r9, r10, r11}\n\t"       \
  "ldrd r6, r7, [lr, #28]\n\t"       \
  "add r8, r9, r10\n\t"              \
  "tbb [pc, r11]\n"                  \
  "2:\n\t"

#define DEPTHWISE_FAST(X, ADDRESS)      \
  "smmla " X ", " X ", r6, r7\n\t"      \
  "ssat " X ", #8, " X ", asr #10\n\t"  \
  "strb " X ", " ADDRESS "\n\t"

#define DEPTHWISE_FAST_FIVE                                   \
  "35:\n\t" DEPTHWISE_FAST("r4", "[r9, r10, lsl #2]")         \
  "34:\n\t" DEPTHWISE_FAST("r3", "[r8, r10, lsl #1]")         \
  "33:\n\t" DEPTHWISE_FAST("r2", "[r9, r10, lsl #1]")         \
  "32:\n\t" DEPTHWISE_FAST("r1", "[r8]")                      \
  "31:\n\t" DEPTHWISE_FAST("r0", "[r9]")

/* Here r8 is the shift. */
#define DEPTHWISE_GENERAL(X, BEFORE, ADDRESS) \
  "add r11, r7, " X ", asr #31\n\t"     \
  "smmlar " X ", " X ", r6, r11\n\t"    \
  "asr " X ", " X ", r8\n\t"            \
  "ssat " X ", #8, " X ", asr #1\n\t"   \
  BEFORE                                \
  "strb " X ", " ADDRESS "\n\t"

#define DEPTHWISE_SECOND "add r11, r9, r10\n\t"

#define DEPTHWISE_GENERAL_FIVE                                                   \
  "45:\n\t" DEPTHWISE_GENERAL("r4", "", "[r9, r10, lsl #2]")                     \
  "44:\n\t" DEPTHWISE_GENERAL("r3", DEPTHWISE_SECOND, "[r11, r10, lsl #1]")      \
  "43:\n\t" DEPTHWISE_GENERAL("r2", "", "[r9, r10, lsl #1]")                     \
  "42:\n\t" DEPTHWISE_GENERAL("r1", "", "[r9, r10]")                             \
  "41:\n\t" DEPTHWISE_GENERAL("r0", "", "[r9]")

#define DEPTHWISE_SHIFT "ldr r8, [lr, #36]\n\t"

/* BACK: bytes from the end of this row's inputs to the beginning of the next one's. After the last
 * row come the strip and the entry of the next channel. */
#define DEPTHWISE_NEXT(BACK)         \
  "9:\n\t"                           \
  "ldrd r6, r7, [sp, #12]\n\t"       \
  "sub r12, r12, #" BACK "\n\t"      \
  "add r9, r9, r6\n\t"               \
  "str r9, [sp]\n\t"                 \
  "cmp r9, r7\n\t"                   \
  "bne 1b\n\t"                       \
  "add r8, sp, #20\n\t"              \
  "ldm r8, {r0, r1, r2}\n\t"         \
  "adds r7, r7, #1\n\t"              \
  "add r12, r12, r0\n\t"             \
  "add r9, r9, r1\n\t"               \
  "add lr, lr, #40\n\t"              \
  "str r9, [sp]\n\t"                 \
  "str r7, [sp, #16]\n\t"            \
  "subs r2, r2, #1\n\t"              \
  "str r2, [sp, #28]\n\t"            \
  "bne 1b\n\t"                       \
  "add sp, sp, #32\n\t"              \
  "pop {r4-r11, pc}\n"

/* The rows of a strip of up to six outputs. General entries load the shift, then go on like the
 * fast ones. */
#define DEPTHWISE_SIX(ROW, BACK)                                                                  \
  DEPTHWISE_BEGIN DEPTHWISE_THREE_ROWS(ROW)                                                       \
  DEPTHWISE_REQUANTIZE_BEGIN                                                                      \
  ".byte 0, (31f - 2b) / 2, (32f - 2b) / 2, (33f - 2b) / 2, (34f - 2b) / 2, (35f - 2b) / 2\n\t"   \
  ".byte (36f - 2b) / 2, 0, (51f - 2b) / 2, (52f - 2b) / 2, (53f - 2b) / 2, (54f - 2b) / 2\n\t"   \
  ".byte (55f - 2b) / 2, (56f - 2b) / 2\n"                                                        \
  "36:\n\t" DEPTHWISE_FAST("r5", "[r8, r10, lsl #2]")                                             \
  DEPTHWISE_FAST_FIVE                                                                             \
  DEPTHWISE_NEXT(BACK)                                                                            \
  "51:\n\t" DEPTHWISE_SHIFT "b 41f\n"                                                             \
  "52:\n\t" DEPTHWISE_SHIFT "b 42f\n"                                                             \
  "53:\n\t" DEPTHWISE_SHIFT "b 43f\n"                                                             \
  "54:\n\t" DEPTHWISE_SHIFT "b 44f\n"                                                             \
  "55:\n\t" DEPTHWISE_SHIFT "b 45f\n"                                                             \
  "56:\n\t" DEPTHWISE_SHIFT                                                                       \
  DEPTHWISE_GENERAL("r5", DEPTHWISE_SECOND, "[r11, r10, lsl #2]")                                 \
  DEPTHWISE_GENERAL_FIVE                                                                          \
  "b 9b\n\t"

/* Stride 1. */
DEPTHWISE_FUNCTION trecx_depthwise_strip_1(
    const trecx_depthwise_run *run __attribute__((unused))) {
  __asm__ volatile(DEPTHWISE_SIX(DEPTHWISE_ROW_1, "32"));
}

/* Stride 2. */
DEPTHWISE_FUNCTION trecx_depthwise_strip_2(
    const trecx_depthwise_run *run __attribute__((unused))) {
  __asm__ volatile(DEPTHWISE_SIX(DEPTHWISE_ROW_2, "28"));
}

/* Stride 1, exactly five outputs in a row. */
#define DEPTHWISE_FIVE_BEGIN         \
  DEPTHWISE_BEGIN DEPTHWISE_THREE_ROWS(DEPTHWISE_ROW_5) \
  "ldrd r9, r10, [sp]\n\t"           \
  "ldrd r6, r7, [lr, #28]\n\t"

DEPTHWISE_FUNCTION trecx_depthwise_strip_5(
    const trecx_depthwise_run *run __attribute__((unused))) {
  __asm__ volatile(
      DEPTHWISE_FIVE_BEGIN
      "add r8, r9, r10\n\t"
      DEPTHWISE_FAST_FIVE
      DEPTHWISE_NEXT("32"));
}

/* The same with the general requantisation. */
DEPTHWISE_FUNCTION trecx_depthwise_strip_5_general(
    const trecx_depthwise_run *run __attribute__((unused))) {
  __asm__ volatile(
      DEPTHWISE_FIVE_BEGIN
      DEPTHWISE_SHIFT
      DEPTHWISE_GENERAL_FIVE
      DEPTHWISE_NEXT("32"));
}

/* Lanes of the pixels at r1 and behind it in four channels, to four planes from r3 on; then the next
 * row. r2 and r5: bytes to the next pixel and row; r7 and r12: one and three planes. */
#define DEPTHWISE_SPREAD_ROW(ROW_BYTES)       \
  "ldr r8, [r1]\n\t"                          \
  "ldr r9, [r1, r2]\n\t"                      \
  "add r1, r1, r5\n\t"                        \
  "sxtb16 r10, r8\n\t"                        \
  "sxtb16 r11, r9\n\t"                        \
  "sxtb16 r8, r8, ror #8\n\t"                 \
  "sxtb16 r9, r9, ror #8\n\t"                 \
  "pkhbt lr, r10, r11, lsl #16\n\t"           \
  "pkhtb r10, r11, r10, asr #16\n\t"          \
  "pkhbt r11, r8, r9, lsl #16\n\t"            \
  "pkhtb r8, r9, r8, asr #16\n\t"             \
  "str r11, [r3, r7]\n\t"                     \
  "str r10, [r3, r7, lsl #1]\n\t"             \
  "str r8, [r3, r12]\n\t"                     \
  "str lr, [r3], #" ROW_BYTES "\n\t"

/* ROWS: what a turn does; START: where one begins. */
#define DEPTHWISE_SPREAD_COLUMNS(START, ROWS) \
  "push {r4-r11, lr}\n\t"                     \
  "ldm r0, {r1-r7}\n\t"                       \
  "add r12, r7, r7, lsl #1\n"                 \
  "1:\n\t"                                    \
  START                                       \
  "2:\n\t"                                    \
  ROWS                                        \
  "subs r4, r4, #1\n\t"                       \
  "bne 2b\n\t"                                \
  "ldr r1, [r0]\n\t"                          \
  "ldrd r3, r4, [r0, #8]\n\t"                 \
  "add r1, r1, r2, lsl #1\n\t"                \
  "adds r3, r3, #4\n\t"                       \
  "str r1, [r0]\n\t"                          \
  "str r3, [r0, #8]\n\t"                      \
  "subs r6, r6, #1\n\t"                       \
  "bne 1b\n\t"                                \
  "pop {r4-r11, pc}\n\t"

DEPTHWISE_FUNCTION trecx_depthwise_spread_1(
    trecx_depthwise_columns *columns __attribute__((unused))) {
  /* Two rows a turn; an odd number begins with the second. */
  __asm__ volatile(DEPTHWISE_SPREAD_COLUMNS(
      "adds r4, r4, #1\n\t"
      "lsrs r4, r4, #1\n\t"
      "bcc 3f\n\t",
      DEPTHWISE_SPREAD_ROW("16")
      "3:\n\t" DEPTHWISE_SPREAD_ROW("16")));
}

DEPTHWISE_FUNCTION trecx_depthwise_spread_2(
    trecx_depthwise_columns *columns __attribute__((unused))) {
  __asm__ volatile(DEPTHWISE_SPREAD_COLUMNS("", DEPTHWISE_SPREAD_ROW("28")));
}

/* One half of a column: r1 pixels, r2 their step, r3
 * halfwords, r4 rows, r5 step of the strip, r7 and r12 one and three planes. */
DEPTHWISE_FUNCTION trecx_depthwise_spread_half(
    const trecx_depthwise_half *half __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r10, lr}\n\t"
      "ldm r0, {r1-r5, r7}\n\t"
      "add r12, r7, r7, lsl #1\n"
      "1:\n\t"
      "ldrsb r8, [r1, #1]\n\t"
      "ldrsb r9, [r1, #2]\n\t"
      "ldrsb r10, [r1, #3]\n\t"
      "ldrsb r0, [r1]\n\t"
      "add r1, r1, r2\n\t"
      "strh r8, [r3, r7]\n\t"
      "strh r9, [r3, r7, lsl #1]\n\t"
      "strh r10, [r3, r12]\n\t"
      "strh r0, [r3]\n\t"
      "add r3, r3, r5\n\t"
      "subs r4, r4, #1\n\t"
      "bne 1b\n\t"
      "pop {r4-r10, pc}\n\t");
}

/* clang-format on */

#endif
