/* Included by wide_inner.h. */
#ifndef TRECX_DSP_WIDE_ASM_H
#define TRECX_DSP_WIDE_ASM_H

/* clang-format off */

/* Registers: r0 to r3 sums of filters (first: r0 r1) and pixels, r4 to r7 weights and r8 to r11
 * inputs of one group, r12 tile, lr weights. The frame holds the rest: output, pixel step, end of
 * the weights, tile, where the loop is entered, end of the tile, where it is left to. */

#define WIDE_GROUP                \
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

/* The first group, which brings along what the two filters' sums begin with. */
#define WIDE_FIRST_GROUP                \
  "ldm.w lr!, {r0, r2, r4-r7}\n\t"      \
  "ldm.w r12!, {r8-r11}\n\t"            \
  "smlad r1, r4, r9, r0\n\t"            \
  "smlad r0, r4, r8, r0\n\t"            \
  "smlad r3, r5, r9, r2\n\t"            \
  "smlad r2, r5, r8, r2\n\t"            \
  "smlad r0, r6, r10, r0\n\t"           \
  "smlad r1, r6, r11, r1\n\t"           \
  "smlad r2, r7, r10, r2\n\t"           \
  "smlad r3, r7, r11, r3\n\t"

#define WIDE_FOUR(GROUP) GROUP GROUP GROUP GROUP
#define WIDE_SIXTEEN(GROUP) WIDE_FOUR(GROUP) WIDE_FOUR(GROUP) WIDE_FOUR(GROUP) WIDE_FOUR(GROUP)

#define WIDE_FAST(X, MULTIPLIER, OFFSET)                  \
  "smmla " X ", " X ", " MULTIPLIER ", " OFFSET "\n\t"

#define WIDE_SATURATE(X) "ssat " X ", #8, " X ", asr #12\n\t"

#define WIDE_GENERAL(X, MULTIPLIER, OFFSET, SHIFT)        \
  "add r10, " OFFSET ", " X ", asr #31\n\t"               \
  "smmlar " X ", " X ", " MULTIPLIER ", r10\n\t"          \
  "asr " X ", " X ", " SHIFT "\n\t"                       \
  "ssat " X ", #8, " X ", asr #1\n\t"

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
      WIDE_BEGIN("", WIDE_FIRST_GROUP, "40") WIDE_SIXTEEN(WIDE_GROUP) WIDE_LOOP
      "61:\n\t"
      "ldm.w lr!, {r4-r7}\n\t"
      WIDE_FAST("r0", "r4", "r5") WIDE_FAST("r1", "r4", "r5")
      WIDE_FAST("r2", "r6", "r7") WIDE_FAST("r3", "r6", "r7")
      WIDE_SATURATE("r0") WIDE_SATURATE("r1") WIDE_SATURATE("r2") WIDE_SATURATE("r3")
      WIDE_STORE
      "62:\n\t"
      "ldm.w lr!, {r4-r9}\n\t"
      WIDE_GENERAL("r0", "r4", "r5", "r6") WIDE_GENERAL("r1", "r4", "r5", "r6")
      WIDE_GENERAL("r2", "r7", "r8", "r9") WIDE_GENERAL("r3", "r7", "r8", "r9")
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
      WIDE_SIXTEEN(WIDE_GROUP_1) WIDE_LOOP
      "61:\n\t"
      "ldm.w lr!, {r4-r7}\n\t"
      WIDE_FAST("r0", "r4", "r5") WIDE_FAST("r2", "r6", "r7")
      WIDE_SATURATE("r0") WIDE_SATURATE("r2")
      WIDE_STORE_1
      "62:\n\t"
      "ldm.w lr!, {r4-r9}\n\t"
      WIDE_GENERAL("r0", "r4", "r5", "r6") WIDE_GENERAL("r2", "r7", "r8", "r9")
      WIDE_STORE_1);
}

/* clang-format on */

#endif
