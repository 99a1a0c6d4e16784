/* Included by depthwise_inner.h. */
#ifndef TRECX_DSP_DEPTHWISE_ASM_H
#define TRECX_DSP_DEPTHWISE_ASM_H

/* clang-format off */

/* Registers: r0 to r5 the sums, r6 to r10 inputs, r10 r11 weights of a kernel row, r12 strip, lr
 * the channel's entry. */

#define DEPTHWISE_BEGIN                          \
  "push {r4-r11, lr}\n\t"                        \
  "sub sp, sp, #32\n\t"                          \
  "ldm r0, {r1-r10}\n\t"                         \
  "stm sp, {r1-r8}\n\t"                          \
  "mov r12, r9\n\t"                              \
  "mov lr, r10\n"                                \
  "1:\n\t"                                       \
  "ldm.w lr!, {r0-r5}\n\t"

/* Sums at even and odd positions from the words X0 (inputs 0, 1) and X1 (inputs 2, 3). */
#define DEPTHWISE_PAIR(EVEN, ODD, X0, X1)              \
  "smlad " EVEN ", r10, " X0 ", " EVEN "\n\t"          \
  "smlatb " EVEN ", r11, " X1 ", " EVEN "\n\t"         \
  "smlabt " ODD ", r10, " X0 ", " ODD "\n\t"           \
  "smlad " ODD ", r11, " X1 ", " ODD "\n\t"

#define DEPTHWISE_ROW_1              \
  "ldm.w r12!, {r6-r9}\n\t"          \
  "ldm.w lr!, {r10, r11}\n\t"        \
  DEPTHWISE_PAIR("r0", "r1", "r6", "r7") \
  DEPTHWISE_PAIR("r2", "r3", "r7", "r8") \
  DEPTHWISE_PAIR("r4", "r5", "r8", "r9")

#define DEPTHWISE_ONE(SUM, X0, X1)             \
  "smlad " SUM ", r10, " X0 ", " SUM "\n\t"    \
  "smlatb " SUM ", r11, " X1 ", " SUM "\n\t"

#define DEPTHWISE_ROW_2              \
  "ldm.w r12!, {r4-r8}\n\t"          \
  "ldm.w lr!, {r10, r11}\n\t"        \
  DEPTHWISE_ONE("r0", "r4", "r5")    \
  DEPTHWISE_ONE("r1", "r5", "r6")    \
  DEPTHWISE_ONE("r2", "r6", "r7")    \
  DEPTHWISE_ONE("r3", "r7", "r8")

/* r6 r7 r8 requantisation, r9 output, r10 pixel step; jumps to the last output of the row. */
#define DEPTHWISE_REQUANTIZE_BEGIN   \
  "ldm sp, {r9, r10, r11}\n\t"       \
  "ldm.w lr, {r6, r7, r8}\n\t"       \
  "sub lr, lr, #48\n\t"              \
  "tbb [pc, r11]\n"                  \
  "2:\n\t"

#define DEPTHWISE_AT_0(X) "strb " X ", [r9]\n\t"
#define DEPTHWISE_AT_1(X) "strb " X ", [r9, r10]\n\t"
#define DEPTHWISE_AT_2(X) "strb " X ", [r9, r10, lsl #1]\n\t"
#define DEPTHWISE_AT_3(X) "add r11, r9, r10\n\tstrb " X ", [r11, r10, lsl #1]\n\t"
#define DEPTHWISE_AT_4(X) "strb " X ", [r9, r10, lsl #2]\n\t"
#define DEPTHWISE_AT_5(X) "add r11, r9, r10\n\tstrb " X ", [r11, r10, lsl #2]\n\t"

#define DEPTHWISE_FAST(X, ADDRESS)      \
  "smmla " X ", " X ", r6, r7\n\t"      \
  "ssat " X ", #8, " X ", asr #10\n\t"  \
  ADDRESS(X)

#define DEPTHWISE_GENERAL(X, ADDRESS)   \
  "add r11, r7, " X ", asr #31\n\t"     \
  "smmlar " X ", " X ", r6, r11\n\t"    \
  "asr " X ", " X ", r8\n\t"            \
  "ssat " X ", #8, " X ", asr #1\n\t"   \
  ADDRESS(X)

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
  "add r7, r7, #1\n\t"               \
  "add r12, r12, r0\n\t"             \
  "add r9, r9, r1\n\t"               \
  "add lr, lr, #60\n\t"              \
  "str r9, [sp]\n\t"                 \
  "str r7, [sp, #16]\n\t"            \
  "subs r2, r2, #1\n\t"              \
  "str r2, [sp, #28]\n\t"            \
  "bne 1b\n\t"                       \
  "add sp, sp, #32\n\t"              \
  "pop {r4-r11, pc}\n"

/* A strip of up to six outputs a row, stride 1. */
static __attribute__((naked, noinline)) void trecx_depthwise_strip_1(
    const trecx_depthwise_run *run __attribute__((unused))) {
  __asm__ volatile(
      DEPTHWISE_BEGIN DEPTHWISE_ROW_1 DEPTHWISE_ROW_1 DEPTHWISE_ROW_1
      DEPTHWISE_REQUANTIZE_BEGIN
      ".byte 0, (31f - 2b) / 2, (32f - 2b) / 2, (33f - 2b) / 2, (34f - 2b) / 2, (35f - 2b) / 2\n\t"
      ".byte (36f - 2b) / 2, 0, (41f - 2b) / 2, (42f - 2b) / 2, (43f - 2b) / 2, (44f - 2b) / 2\n\t"
      ".byte (45f - 2b) / 2, (46f - 2b) / 2\n"
      "36:\n\t" DEPTHWISE_FAST("r5", DEPTHWISE_AT_5)
      "35:\n\t" DEPTHWISE_FAST("r4", DEPTHWISE_AT_4)
      "34:\n\t" DEPTHWISE_FAST("r3", DEPTHWISE_AT_3)
      "33:\n\t" DEPTHWISE_FAST("r2", DEPTHWISE_AT_2)
      "32:\n\t" DEPTHWISE_FAST("r1", DEPTHWISE_AT_1)
      "31:\n\t" DEPTHWISE_FAST("r0", DEPTHWISE_AT_0)
      DEPTHWISE_NEXT("32")
      "46:\n\t" DEPTHWISE_GENERAL("r5", DEPTHWISE_AT_5)
      "45:\n\t" DEPTHWISE_GENERAL("r4", DEPTHWISE_AT_4)
      "44:\n\t" DEPTHWISE_GENERAL("r3", DEPTHWISE_AT_3)
      "43:\n\t" DEPTHWISE_GENERAL("r2", DEPTHWISE_AT_2)
      "42:\n\t" DEPTHWISE_GENERAL("r1", DEPTHWISE_AT_1)
      "41:\n\t" DEPTHWISE_GENERAL("r0", DEPTHWISE_AT_0)
      "b 9b\n\t");
}

/* A strip of up to four outputs a row, stride 2. */
static __attribute__((naked, noinline)) void trecx_depthwise_strip_2(
    const trecx_depthwise_run *run __attribute__((unused))) {
  __asm__ volatile(
      DEPTHWISE_BEGIN DEPTHWISE_ROW_2 DEPTHWISE_ROW_2 DEPTHWISE_ROW_2
      DEPTHWISE_REQUANTIZE_BEGIN
      ".byte 0, (31f - 2b) / 2, (32f - 2b) / 2, (33f - 2b) / 2, (34f - 2b) / 2, 0, 0, 0\n\t"
      ".byte (41f - 2b) / 2, (42f - 2b) / 2, (43f - 2b) / 2, (44f - 2b) / 2\n"
      "34:\n\t" DEPTHWISE_FAST("r3", DEPTHWISE_AT_3)
      "33:\n\t" DEPTHWISE_FAST("r2", DEPTHWISE_AT_2)
      "32:\n\t" DEPTHWISE_FAST("r1", DEPTHWISE_AT_1)
      "31:\n\t" DEPTHWISE_FAST("r0", DEPTHWISE_AT_0)
      DEPTHWISE_NEXT("20")
      "44:\n\t" DEPTHWISE_GENERAL("r3", DEPTHWISE_AT_3)
      "43:\n\t" DEPTHWISE_GENERAL("r2", DEPTHWISE_AT_2)
      "42:\n\t" DEPTHWISE_GENERAL("r1", DEPTHWISE_AT_1)
      "41:\n\t" DEPTHWISE_GENERAL("r0", DEPTHWISE_AT_0)
      "b 9b\n\t");
}

/* Lanes of the pixels at a (r1) and b (r2) in four channels, to four planes from r3 on; then the
 * next row. r4 rows, r5 r6 steps of a and b, r7 and r12 one and three planes. */
#define DEPTHWISE_SPREAD(ROW_BYTES)           \
  "push {r4-r11, lr}\n\t"                     \
  "ldm r0, {r1-r7}\n\t"                       \
  "add r12, r7, r7, lsl #1\n"                 \
  "1:\n\t"                                    \
  "ldr r8, [r1]\n\t"                          \
  "ldr r9, [r2]\n\t"                          \
  "add r1, r1, r5\n\t"                        \
  "add r2, r2, r6\n\t"                        \
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
  "str lr, [r3], #" ROW_BYTES "\n\t"          \
  "subs r4, r4, #1\n\t"                       \
  "bne 1b\n\t"                                \
  "pop {r4-r11, pc}\n\t"

static __attribute__((naked, noinline)) void trecx_depthwise_spread_1(
    const trecx_depthwise_column *column __attribute__((unused))) {
  __asm__ volatile(DEPTHWISE_SPREAD("16"));
}

static __attribute__((naked, noinline)) void trecx_depthwise_spread_2(
    const trecx_depthwise_column *column __attribute__((unused))) {
  __asm__ volatile(DEPTHWISE_SPREAD("20"));
}

/* clang-format on */

#endif
