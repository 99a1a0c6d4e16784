/* The product of two filters of 16-bit weights with two pixels, or with two tiles of points: what
 * wide_asm.h and winograd4_asm.h have in common.
 *
 * Registers: r0 to r3 sums of filters (first: r0 r1) and pixels, r4 to r7 weights and r8 to r11
 * inputs of one group of four, r12 inputs, lr weights. */
#ifndef TRECX_DSP_PRODUCT_ASM_H
#define TRECX_DSP_PRODUCT_ASM_H

/* clang-format off */

#define PRODUCT_GROUP                \
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
#define PRODUCT_FIRST_GROUP                \
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

#define PRODUCT_FOUR(GROUP) GROUP GROUP GROUP GROUP
#define PRODUCT_FIFTEEN(GROUP) \
  PRODUCT_FOUR(GROUP) PRODUCT_FOUR(GROUP) PRODUCT_FOUR(GROUP) GROUP GROUP GROUP
#define PRODUCT_SIXTEEN(GROUP) PRODUCT_FIFTEEN(GROUP) GROUP

/* clang-format on */

#endif
