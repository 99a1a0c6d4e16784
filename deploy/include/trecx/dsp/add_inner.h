/* The inner loop of dsp/add_s8_table.c: assembly, or plain C where there is no DSP extension. */
#ifndef TRECX_DSP_ADD_INNER_H
#define TRECX_DSP_ADD_INNER_H

#include "trecx/dsp/arith.h"

/* The sum of both inputs goes into the requantisation times 2, in the fast form times 4 (d = 1);
 * `half` is shifted by one of these. */
#define TRECX_ADD_HALF_SHIFT 20
#define TRECX_ADD_FAST_HALF_SHIFT 21

typedef struct {
  const int8_t *half, *scaled;
  const int32_t *table; /* of the value 0: index from -128 to 127 */
  trecx_dsp_requant requant;
} trecx_add_run;

#if defined(__ARM_FEATURE_DSP)

/* One value. */
#define TRECX_ADD_VALUE                  \
  "ldrsb r2, [%[scaled]], #1\n\t"        \
  "ldrsb r3, [%[half]], #1\n\t"          \
  "ldr r2, [%[table], r2, lsl #2]\n\t"   \
  "add r2, r2, r3, lsl #20\n\t"          \
  "add r3, %[offset], r2, asr #31\n\t"   \
  "smmlar r2, r2, %[multiplier], r3\n\t" \
  "asr r2, r2, %[shift]\n\t"             \
  "ssat r2, #8, r2, asr #1\n\t"          \
  "strb r2, [%[output]], #1\n\t"

/* Four values a turn, then the rest. */
static inline void trecx_add_values(const trecx_add_run *run, int8_t *output, int32_t count) {
  const int8_t *half = run->half, *scaled = run->scaled;
  const int32_t multiplier = run->requant.multiplier, offset = run->requant.offset;
  const int32_t shift = run->requant.shift;
  __asm__ volatile(
      "subs %[count], %[count], #4\n\t"
      "blt 2f\n"
      "1:\n\t" TRECX_ADD_VALUE TRECX_ADD_VALUE TRECX_ADD_VALUE TRECX_ADD_VALUE
      "subs %[count], %[count], #4\n\t"
      "bge 1b\n"
      "2:\n\t"
      "adds %[count], %[count], #4\n\t"
      "beq 4f\n"
      "3:\n\t" TRECX_ADD_VALUE
      "subs %[count], %[count], #1\n\t"
      "bne 3b\n"
      "4:\n\t"
      : [half] "+r"(half), [scaled] "+r"(scaled), [output] "+r"(output), [count] "+r"(count)
      : [table] "r"(run->table), [multiplier] "r"(multiplier), [offset] "r"(offset),
        [shift] "r"(shift)
      : "r2", "r3", "cc", "memory");
}

#define TRECX_ADD_FAST_VALUE(E)                \
  "ldrsb r2, [%[scaled]], #1\n\t"              \
  "ldrsb r3, [%[half]], #1\n\t"                \
  "ldr r2, [%[table], r2, lsl #2]\n\t"         \
  "add r2, r2, r3, lsl #21\n\t"                \
  "smmla r2, r2, %[multiplier], %[offset]\n\t" \
  "ssat r2, #8, r2, asr #" #E                  \
  "\n\t"                                       \
  "strb r2, [%[output]], #1\n\t"

/* The second shift is an immediate: one function for each. count: a multiple of 4. */
#define TRECX_ADD_FAST_VALUES(E)                                                                \
  static inline void trecx_add_fast_values_##E(const trecx_add_run *run, int8_t *output,        \
                                               int32_t count) {                                 \
    const int8_t *half = run->half, *scaled = run->scaled;                                      \
    __asm__ volatile(                                                                         \
        "1:\n\t" TRECX_ADD_FAST_VALUE(E) TRECX_ADD_FAST_VALUE(E) TRECX_ADD_FAST_VALUE(E)      \
        TRECX_ADD_FAST_VALUE(E)                                                               \
        "subs %[count], %[count], #4\n\t"                                                     \
        "bgt 1b\n\t"                                                                          \
        : [half] "+r"(half), [scaled] "+r"(scaled), [output] "+r"(output), [count] "+r"(count) \
        : [table] "r"(run->table), [multiplier] "r"(run->requant.multiplier),                 \
          [offset] "r"(run->requant.offset)                                                   \
        : "r2", "r3", "cc", "memory"); \
  }

#else

#define TRECX_ADD_FAST_VALUES(E)                                                         \
  static inline void trecx_add_fast_values_##E(const trecx_add_run *run, int8_t *output, \
                                               int32_t count) {                          \
    for (int32_t i = 0; i < count; i++) {                                                \
      const int32_t half = run->half[i] * (1 << TRECX_ADD_FAST_HALF_SHIFT);              \
      const int32_t sum = run->table[run->scaled[i]] + half;                             \
      const int32_t y = trecx_smmla(sum, run->requant.multiplier, run->requant.offset);  \
      output[i] = (int8_t)trecx_half_to_s8(y >> (E - 1));                                \
    }                                                                                    \
  }

static inline void trecx_add_values(const trecx_add_run *run, int8_t *output, int32_t count) {
  for (int32_t i = 0; i < count; i++) {
    const int32_t half = run->half[i] * (1 << TRECX_ADD_HALF_SHIFT);
    const int32_t sum = run->table[run->scaled[i]] + half;
    const int32_t offset = run->requant.offset + (sum >> 31);
    const int32_t y = trecx_smmlar(sum, run->requant.multiplier, offset) >> run->requant.shift;
    output[i] = (int8_t)trecx_half_to_s8(y);
  }
}

#endif

TRECX_ADD_FAST_VALUES(19)
TRECX_ADD_FAST_VALUES(20)

#endif
