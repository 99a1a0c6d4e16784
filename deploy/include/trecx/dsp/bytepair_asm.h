/* Included by bytepair_inner.h. */
#ifndef TRECX_DSP_BYTEPAIR_ASM_H
#define TRECX_DSP_BYTEPAIR_ASM_H

/* clang-format off */

/* Registers of the inner loops: r0 tile, r1 weights, r2 lr weights of one group, r3 groups left, r4
 * r5 r6 inputs of the pixels, r7 r8 r9 S and r10 r11 r12 A of the pixels. The copy of the run on the
 * stack holds the rest. */

#define BEGIN                       \
  "push {r4-r11, lr}\n\t"           \
  "sub sp, sp, #36\n\t"             \
  "ldm r0, {r4-r12}\n\t"            \
  "mov r1, r12\n\t"                 \
  "cmp r11, #0\n\t"                 \
  "ite ne\n\t"                      \
  "adrne r11, 61f\n\t"              \
  "adreq r11, 62f\n\t"              \
  "add r11, r11, #1\n\t"            \
  "stm sp, {r4-r11}\n"              \
  "1:\n\t"                          \
  "ldm sp, {r0, r2, r3, lr}\n\t"    \
  "ldm lr, {r7-r12}\n\t"

/* Eight groups a turn for three pixels, four for two, which are rare; entering at the group that
 * makes the rest a multiple. */
#define DOT_3                                                                    \
  "tbb [pc, r2]\n"                                                               \
  "2:\n\t"                                                                       \
  ".byte (20f - 2b) / 2, (21f - 2b) / 2, (22f - 2b) / 2, (23f - 2b) / 2\n\t"      \
  ".byte (24f - 2b) / 2, (25f - 2b) / 2, (26f - 2b) / 2, (27f - 2b) / 2\n"        \
  "20:\n\t" GROUP_3 "21:\n\t" GROUP_3 "22:\n\t" GROUP_3 "23:\n\t" GROUP_3        \
  "24:\n\t" GROUP_3 "25:\n\t" GROUP_3 "26:\n\t" GROUP_3 "27:\n\t" GROUP_3        \
  "subs r3, r3, #8\n\t"                                                         \
  "bgt 20b\n\t"

#define DOT_2                                                                    \
  "and r2, r2, #3\n\t"                                                          \
  "tbb [pc, r2]\n"                                                               \
  "2:\n\t"                                                                       \
  ".byte (20f - 2b) / 2, (21f - 2b) / 2, (22f - 2b) / 2, (23f - 2b) / 2\n"        \
  "20:\n\t" GROUP_2 "21:\n\t" GROUP_2 "22:\n\t" GROUP_2 "23:\n\t" GROUP_2        \
  "subs r3, r3, #4\n\t"                                                         \
  "bgt 20b\n\t"

/* r0 requantisation of A, then of B; r5 output, r6 pixel step. Goes on at 61 or 62. */
#define REQUANTIZE_BEGIN       \
  "ldr r0, [sp, #12]\n\t"      \
  "ldrd r5, r6, [sp, #16]\n\t" \
  "adds r0, r0, #24\n\t"       \
  "ldm r0!, {r2, r3, r4}\n\t"  \
  "ldr pc, [sp, #28]\n\t"      \
  ".balign 4\n"

/* Fast form of the accumulator in register X to a byte at ADDRESS; SHIFT: of what is in X. */
#define FAST(X, SHIFT, ADDRESS)        \
  SHIFT " " X ", " X ", r4\n\t"        \
  "smmla " X ", " X ", r2, r3\n\t"     \
  "ssat " X ", #8, " X ", asr #12\n\t" \
  "strb " X ", " ADDRESS "\n\t"

#define A_FAST(X, ADDRESS) FAST(X, "lsl", ADDRESS)
#define B_FAST(X, ADDRESS) FAST(X, "asr", ADDRESS)

/* General form; DOUBLE: makes twice the accumulator from what is in X. */
#define GENERAL(X, DOUBLE, ADDRESS)    \
  "add lr, r3, " X ", asr #31\n\t"     \
  DOUBLE                               \
  "smmlar " X ", " X ", r2, lr\n\t"    \
  "asr " X ", " X ", r4\n\t"           \
  "ssat " X ", #8, " X ", asr #1\n\t"  \
  "strb " X ", " ADDRESS "\n\t"

#define A_GENERAL(X, ADDRESS) GENERAL(X, "add " X ", " X ", " X "\n\t", ADDRESS)
#define B_GENERAL(X, ADDRESS) GENERAL(X, "asr " X ", " X ", #7\n\t", ADDRESS)

#define SECOND_FILTER "ldm r0!, {r2, r3, r4}\n\t"

#define NEXT_PAIR              \
  "ldr r2, [sp, #24]\n\t"      \
  "strd r0, r5, [sp, #12]\n\t" \
  "cmp r0, r2\n\t"             \
  "bne 1b\n\t"                 \
  "add sp, sp, #36\n\t"        \
  "pop {r4-r11, pc}\n\t"       \
  ".balign 4\n"

#define INPUTS_3(W)               \
  "ldm.w r0!, {r4, r5, r6}\n\t"   \
  "smlad r7, " W ", r4, r7\n\t"   \
  "smlad r8, " W ", r5, r8\n\t"   \
  "smlad r9, " W ", r6, r9\n\t"   \
  "sxtb16 " W ", " W "\n\t"       \
  "smlad r10, " W ", r4, r10\n\t" \
  "smlad r11, " W ", r5, r11\n\t" \
  "smlad r12, " W ", r6, r12\n\t"

#define GROUP_3 "ldm.w r1!, {r2, lr}\n\t" INPUTS_3("r2") INPUTS_3("lr")

__attribute__((naked)) void trecx_bytepair_run_3(const trecx_bytepair_run *run __attribute__((unused))) {
  __asm__ volatile(
      BEGIN DOT_3
      "sub r7, r7, r10\n\t"
      "sub r8, r8, r11\n\t"
      "sub r9, r9, r12\n\t"
      REQUANTIZE_BEGIN
      "61:\n\t"
      A_FAST("r12", "[r5, r6, lsl #1]") A_FAST("r11", "[r5, r6]") A_FAST("r10", "[r5], #1")
      SECOND_FILTER
      B_FAST("r9", "[r5, r6, lsl #1]") B_FAST("r8", "[r5, r6]") B_FAST("r7", "[r5], #1")
      NEXT_PAIR
      "62:\n\t"
      A_GENERAL("r12", "[r5, r6, lsl #1]") A_GENERAL("r11", "[r5, r6]") A_GENERAL("r10", "[r5], #1")
      SECOND_FILTER
      B_GENERAL("r9", "[r5, r6, lsl #1]") B_GENERAL("r8", "[r5, r6]") B_GENERAL("r7", "[r5], #1")
      NEXT_PAIR);
}

#define INPUTS_2(W)               \
  "ldm.w r0!, {r4, r5}\n\t"       \
  "smlad r7, " W ", r4, r7\n\t"   \
  "smlad r8, " W ", r5, r8\n\t"   \
  "sxtb16 " W ", " W "\n\t"       \
  "smlad r10, " W ", r4, r10\n\t" \
  "smlad r11, " W ", r5, r11\n\t"

#define GROUP_2 "ldm.w r1!, {r2, lr}\n\t" INPUTS_2("r2") INPUTS_2("lr")

__attribute__((naked)) void trecx_bytepair_run_2(const trecx_bytepair_run *run __attribute__((unused))) {
  __asm__ volatile(
      BEGIN DOT_2
      "sub r7, r7, r10\n\t"
      "sub r8, r8, r11\n\t"
      REQUANTIZE_BEGIN
      "61:\n\t"
      A_FAST("r11", "[r5, r6]") A_FAST("r10", "[r5], #1")
      SECOND_FILTER
      B_FAST("r8", "[r5, r6]") B_FAST("r7", "[r5], #1")
      NEXT_PAIR
      "62:\n\t"
      A_GENERAL("r11", "[r5, r6]") A_GENERAL("r10", "[r5], #1")
      SECOND_FILTER
      B_GENERAL("r8", "[r5, r6]") B_GENERAL("r7", "[r5], #1")
      NEXT_PAIR);
}

/* clang-format on */

#endif
