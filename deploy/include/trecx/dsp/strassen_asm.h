/* Included by strassen_inner.h. */
#ifndef TRECX_DSP_STRASSEN_ASM_H
#define TRECX_DSP_STRASSEN_ASM_H

#include "trecx/dsp/product_asm.h"
#include "trecx/dsp/requantize_asm.h"

/* clang-format off */

/* The frame, in bytes: 0 A11 B11, then U2, then C22; 16 U3; 32 output, 36 pixel step, 40 second
 * pair, 44 end of the weights, 48 tile, 52 entry at a part's second group, 56 at its first. Every
 * part of the tile ends with where to go then. */

#define STRASSEN_TEXT_OF(X) #X
#define STRASSEN_TEXT(X) STRASSEN_TEXT_OF(X)
#define STRASSEN_REQUANTIZE REQUANTIZE_FAST_2X2_BY(STRASSEN_TEXT(TRECX_STRASSEN_SHIFT))

#define STRASSEN_STORE           \
  "strb r1, [r8, r9]\n\t"        \
  "strb r0, [r8], #1\n\t"        \
  "strb r3, [r8, r9]\n\t"        \
  "strb r2, [r8]\n\t"

static __attribute__((naked, noinline)) void trecx_strassen_tile(
    const trecx_strassen_run *run __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r0, {r4-r10, lr}\n\t"
      "push {r4-r10}\n\t"
      "sub sp, sp, #32\n"
      "1:\n\t"
      "ldr r12, [sp, #48]\n\t"
      PRODUCT_FIRST_GROUP
      "ldr pc, [sp, #52]\n\t"
      ".balign 4\n"
      "trecx_strassen_groups:\n\t" PRODUCT_SIXTEEN(PRODUCT_GROUP)
      "ldr pc, [r12], #4\n\t"
      ".balign 4\n"
      "trecx_strassen_after_1:\n\t"
      "stm sp, {r0-r3}\n\t"
      "ldr pc, [sp, #56]\n\t"
      ".balign 4\n"
      "trecx_strassen_after_2:\n\t"
      "ldm.w lr!, {r4-r7}\n\t"
      STRASSEN_REQUANTIZE
      "ldrd r8, r9, [sp, #32]\n\t"
      STRASSEN_STORE
      "ldm sp, {r0-r3}\n\t"
      "ldr pc, [sp, #56]\n\t"
      ".balign 4\n"
      "trecx_strassen_after_3:\n\t"
      "stm sp, {r0-r3}\n\t"
      "ldr pc, [sp, #56]\n\t"
      ".balign 4\n"
      "trecx_strassen_after_4:\n\t"
      "strd r0, r1, [sp, #16]\n\t"
      "strd r2, r3, [sp, #24]\n\t"
      "ldr pc, [sp, #56]\n\t"
      ".balign 4\n"
      "trecx_strassen_after_5:\n\t"
      "ldm.w lr!, {r4-r7}\n\t"
      STRASSEN_REQUANTIZE
      "ldrd r8, r9, [sp, #32]\n\t"
      "ldr r10, [sp, #40]\n\t"
      "add r8, r8, r10\n\t"
      STRASSEN_STORE
      PRODUCT_FIRST_GROUP
      "ldr pc, [sp, #52]\n\t"
      ".balign 4\n"
      "trecx_strassen_after_6:\n\t"
      "ldrd r8, r9, [sp, #16]\n\t"
      "ldrd r10, r11, [sp, #24]\n\t"
      "ldm sp, {r4-r7}\n\t"
      "add r8, r8, r0\n\t"
      "add r9, r9, r1\n\t"
      "add r10, r10, r2\n\t"
      "add r11, r11, r3\n\t"
      "stm sp, {r8-r11}\n\t"
      "add r0, r0, r4\n\t"
      "add r1, r1, r5\n\t"
      "add r2, r2, r6\n\t"
      "add r3, r3, r7\n\t"
      "ldr pc, [sp, #56]\n\t"
      ".balign 4\n"
      "trecx_strassen_after_7:\n\t"
      "ldm.w lr!, {r4-r7}\n\t"
      STRASSEN_REQUANTIZE
      "ldrd r8, r9, [sp, #32]\n\t"
      "adds r8, r8, #2\n\t"
      STRASSEN_STORE
      "ldm sp, {r0-r3}\n\t"
      STRASSEN_REQUANTIZE
      "ldrd r10, r11, [sp, #40]\n\t"
      "adds r4, r8, #1\n\t"
      "str r4, [sp, #32]\n\t"
      "add r8, r8, r10\n\t"
      "subs r8, r8, #1\n\t"
      STRASSEN_STORE
      "cmp lr, r11\n\t"
      "bne.w 1b\n\t"
      "add sp, sp, #60\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* Places in the code above. */
extern const char trecx_strassen_groups[], trecx_strassen_after_1[], trecx_strassen_after_2[],
    trecx_strassen_after_3[], trecx_strassen_after_4[], trecx_strassen_after_5[],
    trecx_strassen_after_6[], trecx_strassen_after_7[];

#define STRASSEN_GROUP_BYTES 40 /* of code */

/* Fill in the addresses, in the tile too; the other fields are there. */
static void trecx_strassen_prepare(trecx_strassen_run *run) {
  static const char *const after[TRECX_STRASSEN_PARTS] = {
      trecx_strassen_after_1, trecx_strassen_after_2, trecx_strassen_after_3, trecx_strassen_after_4,
      trecx_strassen_after_5, trecx_strassen_after_6, trecx_strassen_after_7};
  uint32_t *to = run->tile;
  const int32_t skip = TRECX_STRASSEN_MOST_GROUPS - run->groups;
  run->entry = (uintptr_t)(trecx_strassen_groups + STRASSEN_GROUP_BYTES * skip) | 1u;
  run->first_entry = run->entry + STRASSEN_GROUP_BYTES;
  for (int32_t i = 0; i < TRECX_STRASSEN_PARTS; i++) {
    to += 4 * run->groups;
    *to++ = (uint32_t)(uintptr_t)after[i] | 1u;
  }
}

/* Two of four channels (ROTATE picks them) to the parts. r3 A11, r5 S3, r6 and r7 bytes of one part
 * and of three, r8 to r11 the inputs A11, A12, A21, A22. */
#define STRASSEN_LANES(ROTATE)                \
  "sxtb16 r12, r8" ROTATE "\n\t"              \
  "sxtb16 lr, r10" ROTATE "\n\t"              \
  "sxtb16 r0, r11" ROTATE "\n\t"              \
  "str r0, [r5, r6]\n\t"             /* A22 */ \
  "sadd16 r0, lr, r0\n\t"                     \
  "str r0, [r5, r6, lsl #1]\n\t"     /* S1 */ \
  "ssub16 r0, r0, r12\n\t"                    \
  "str r0, [r3, r6, lsl #1]\n\t"     /* S2 */ \
  "ssub16 lr, r12, lr\n\t"                    \
  "str r12, [r3]\n\t"                /* A11 */ \
  "sxtb16 r12, r9" ROTATE "\n\t"              \
  "str r12, [r3, r6]\n\t"            /* A12 */ \
  "ssub16 r12, r12, r0\n\t"                   \
  "str r12, [r5, r7]\n\t"            /* S4 */ \
  "str lr, [r5], #8\n\t"             /* S3 */ \
  "adds r3, r3, #8\n\t"

static __attribute__((naked, noinline)) void trecx_strassen_transform(
    const trecx_strassen_input *input __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r0, {r1-r4, r6, r7}\n\t"
      "push {r7}\n\t"
      "add r7, r6, r6, lsl #1\n\t"
      "add r5, r3, r7\n"
      "1:\n\t"
      "ldr r8, [r1], #4\n\t"
      "ldr r10, [r2], #4\n\t"
      "ldr r9, [r1, r4]\n\t"
      "ldr r11, [r2, r4]\n\t"
      STRASSEN_LANES("")
      STRASSEN_LANES(", ror #8")
      "ldr r0, [sp]\n\t"
      "subs r0, r0, #1\n\t"
      "str r0, [sp]\n\t"
      "bne 1b\n\t"
      "add sp, sp, #4\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* clang-format on */

#endif
