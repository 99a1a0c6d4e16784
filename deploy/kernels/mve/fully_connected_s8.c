/* Dense layer: eight units at a time, one accumulator each.
 *
 * The last five vectors of the input stay in registers for all units; the others are loaded again
 * for each group. Weights are read once, front to back. */
#include <stddef.h>
#include <string.h>

#include "trecx/kernels/fully_connected_s8_mve.h"
#include "trecx/mve_arith.h"

typedef struct {
  int32_t multiplier; /* these four are read by one LDM */
  int32_t shift;
  int32_t zero_point;
  const int8_t *output_end;
  const int8_t *packed; /* these two by one LDRD */
  int8_t *output;
  const int8_t *streamed; /* by one LDRD: input vectors that are loaded for each group */
  int32_t passes;         /* over them, four vectors in a pass, before the last one; or -1 */
  const int8_t *fifth;    /* by one LDRD: the last input vector but four; any if there is none */
  const int8_t *last;     /* the last four input vectors */
  int32_t skipped; /* vectors that are not there in the first pass; no pass: in the last five */
} dense;

/* clang-format off */

/* 16 instructions of 4 bytes. `input` is neither q6 nor q7. */
#define EIGHT_UNITS(input)            \
  "vldrw.u32 q6, [r3], #16 \n"        \
  "vldrw.u32 q7, [r3], #16 \n"        \
  "vmladava.s8 r0, " input ", q6 \n"  \
  "vldrw.u32 q6, [r3], #16 \n"        \
  "vmladava.s8 r2, " input ", q7 \n"  \
  "vldrw.u32 q7, [r3], #16 \n"        \
  "vmladava.s8 r4, " input ", q6 \n"  \
  "vldrw.u32 q6, [r3], #16 \n"        \
  "vmladava.s8 r6, " input ", q7 \n"  \
  "vldrw.u32 q7, [r3], #16 \n"        \
  "vmladava.s8 r8, " input ", q6 \n"  \
  "vldrw.u32 q6, [r3], #16 \n"        \
  "vmladava.s8 r10, " input ", q7 \n" \
  "vldrw.u32 q7, [r3], #16 \n"        \
  "vmladava.s8 r12, " input ", q6 \n" \
  "vmladava.s8 lr, " input ", q7 \n"

/* 17 instructions. */
#define STREAMED_VECTOR         \
  "vldrb.u8 q5, [r1], #16 \n"   \
  EIGHT_UNITS("q5")

#define PASS       \
  STREAMED_VECTOR  \
  STREAMED_VECTOR  \
  STREAMED_VECTOR  \
  STREAMED_VECTOR

/* Accumulators in q5 (even units) and q6 (odd units) to int16 in q5; q7 is free. */
#define SCALE                   \
  "vqrdmulh.s32 q5, q5, r0 \n"  \
  "vqrdmulh.s32 q6, q6, r0 \n"  \
  "vrshl.s32 q5, r2 \n"         \
  "vrshl.s32 q6, r2 \n"         \
  "vqmovnb.s32 q5, q5 \n"       \
  "vqmovnt.s32 q5, q6 \n"

#define SCALE_TIES              \
  "vshr.s32 q7, q5, #31 \n"     \
  "vqrdmlah.s32 q7, q5, r0 \n"  \
  "vshr.s32 q5, q6, #31 \n"     \
  "vqrdmlah.s32 q5, q6, r0 \n"  \
  "vrshl.s32 q7, r2 \n"         \
  "vrshl.s32 q5, r2 \n"         \
  "vqmovnt.s32 q5, q5 \n"       \
  "vqmovnb.s32 q5, q7 \n"

#define SCALE_PER_CHANNEL       \
  "vldrw.u32 q7, [r3], #16 \n"  \
  "vqrdmulh.s32 q5, q5, q7 \n"  \
  "vldrw.u32 q7, [r3], #16 \n"  \
  "vqrdmulh.s32 q6, q6, q7 \n"  \
  "vldrw.u32 q7, [r3], #16 \n"  \
  "vrshl.s32 q5, q5, q7 \n"     \
  "vldrw.u32 q7, [r3], #16 \n"  \
  "vrshl.s32 q6, q6, q7 \n"     \
  "vqmovnb.s32 q5, q5 \n"       \
  "vqmovnt.s32 q5, q6 \n"

/* x + (a >> 31), as VQRDMLAH takes no vector multiplier. */
#define SCALE_PER_CHANNEL_TIES  \
  "vldrw.u32 q7, [r3], #16 \n"  \
  "vqrdmulh.s32 q7, q5, q7 \n"  \
  "vshr.s32 q5, q5, #31 \n"     \
  "vadd.i32 q5, q5, q7 \n"      \
  "vldrw.u32 q7, [r3], #16 \n"  \
  "vqrdmulh.s32 q7, q6, q7 \n"  \
  "vshr.s32 q6, q6, #31 \n"     \
  "vadd.i32 q6, q6, q7 \n"      \
  "vldrw.u32 q7, [r3], #16 \n"  \
  "vrshl.s32 q5, q5, q7 \n"     \
  "vldrw.u32 q7, [r3], #16 \n"  \
  "vrshl.s32 q6, q6, q7 \n"     \
  "vqmovnb.s32 q5, q5 \n"       \
  "vqmovnt.s32 q5, q6 \n"

#define FIELD(field) [field] "i"(offsetof(dense, field))

/* q0 to q4: the last five input vectors; r1: streamed input; r3: packed weights; r5: output; r7:
 * passes left before the last one; r9: work; r11: where the first vector that is there is
 * multiplied. */
#define GROUPS(name, SCALE)                                                               \
  static __attribute__((noinline)) void name(dense *work) {                               \
    register dense *r9 __asm__("r9") = work;                                              \
    __asm__ volatile(                                                                     \
        "push {r7} \n"                                                                    \
        "ldrd r0, r2, [r9, %[fifth]] \n"                                                  \
        "vldrb.u8 q0, [r0] \n"                                                            \
        "vldrb.u8 q1, [r2] \n"                                                            \
        "vldrb.u8 q2, [r2, #16] \n"                                                       \
        "vldrb.u8 q3, [r2, #32] \n"                                                       \
        "vldrb.u8 q4, [r2, #48] \n"                                                       \
        "ldr r1, [r9, %[skipped]] \n"                                                     \
        "ldr r7, [r9, %[passes]] \n"                                                      \
        "mov r2, #68 \n"                                                                  \
        "adr.w r11, 20f \n"                                                               \
        "cmp r7, #0 \n"                                                                   \
        "bgt 9f \n"                                                                       \
        "adr.w r11, 25f \n"                                                               \
        "beq 9f \n"                                                                       \
        "mov r2, #64 \n"                                                                  \
        "adr.w r11, 30f \n"                                                               \
        "9: mla r11, r1, r2, r11 \n"                                                      \
        "orr r11, r11, #1 \n"                                                             \
        "ldrd r3, r5, [r9, %[packed]] \n"                                                 \
        /* Next eight units. */                                                           \
        "10: ldrd r1, r7, [r9, %[streamed]] \n"                                           \
        "ldm r3!, {r0, r2, r4, r6, r8, r10, r12, lr} \n"                                  \
        "bx r11 \n"                                                                       \
        ".balign 4 \n"                                                                    \
        "20: \n"                                                                          \
        PASS                                                                              \
        "subs.w r7, r7, #1 \n"                                                            \
        "bne.w 20b \n"                                                                    \
        "25: \n"                                                                          \
        PASS                                                                              \
        "30: \n"                                                                          \
        EIGHT_UNITS("q0")                                                                 \
        EIGHT_UNITS("q1")                                                                 \
        EIGHT_UNITS("q2")                                                                 \
        EIGHT_UNITS("q3")                                                                 \
        EIGHT_UNITS("q4")                                                                 \
        "vmov q5[2], q5[0], r0, r8 \n"                                                    \
        "vmov q5[3], q5[1], r4, r12 \n"                                                   \
        "vmov q6[2], q6[0], r2, r10 \n"                                                   \
        "vmov q6[3], q6[1], r6, lr \n"                                                    \
        "ldm r9, {r0, r2, r4, r6} \n"                                                     \
        SCALE                                                                             \
        "vqadd.s16 q5, q5, r4 \n"                                                         \
        "vqmovnb.s16 q5, q5 \n"                                                           \
        "vstrb.16 q5, [r5], #8 \n"                                                        \
        "cmp r5, r6 \n"                                                                   \
        "bne 10b \n"                                                                      \
        "str r3, [r9, %[packed]] \n"                                                      \
        "pop {r7} \n"                                                                     \
        : "+r"(r9)                                                                        \
        : FIELD(fifth), FIELD(packed), FIELD(streamed), FIELD(passes), FIELD(skipped)     \
        : TRECX_MVE_CLOBBERS);                                                            \
  }

GROUPS(groups, SCALE_TIES)
GROUPS(groups_relu, SCALE)
GROUPS(groups_per_channel, SCALE_PER_CHANNEL_TIES)
GROUPS(groups_per_channel_relu, SCALE_PER_CHANNEL)

/* clang-format on */

/* The units that do not fill a group. */
TRECX_MVE_FRAME void run_rest(dense *work, int8_t *output, int32_t units,
                              void (*run_groups)(dense *)) {
  int8_t tile[8];
  work->output = tile;
  work->output_end = tile + 8;
  run_groups(work);
  memcpy(output, tile, (size_t)units);
}

TRECX_MVE_FRAME void fully_connected(const trecx_fully_connected_s8_mve_params *p,
                                     const int8_t *input, int8_t *output, void *scratch,
                                     void (*run_groups)(dense *)) {
  dense *work = scratch;
  const int8_t *const end = input + p->rows * p->inputs;
  const int32_t rest = p->units & 7;
  const int32_t fifth_at = ((p->inputs + 15) & ~15) - 80; /* of the input vectors */
  int8_t *out = output;

  work->multiplier = p->multiplier;
  work->shift = p->shift;
  work->zero_point = p->output_zero_point;
  work->passes = p->passes;
  work->skipped = p->skipped;
  for (; input < end; input += p->inputs) {
    const int8_t *x = input;
    if (p->copy_at) {
      int8_t *copy = (int8_t *)scratch + p->copy_at;
      trecx_mve_copy(copy, x, p->inputs);
      x = copy;
    }
    work->streamed = x;
    work->fifth = fifth_at > 0 ? x + fifth_at : x;
    work->last = x + fifth_at + 16;
    work->packed = p->packed;
    work->output = out;
    out += p->units - rest;
    work->output_end = out;
    if (work->output < out) run_groups(work);
    if (rest) run_rest(work, out, rest, run_groups);
    out += rest;
  }
  trecx_mve_clamp(output, (int32_t)(out - output), p->activation_min, p->activation_max);
}

void trecx_fully_connected_s8_mve(const trecx_fully_connected_s8_mve_params *params,
                                  const int8_t *input, int8_t *output, void *scratch) {
  fully_connected(params, input, output, scratch, groups);
}

void trecx_fully_connected_s8_mve_relu(const trecx_fully_connected_s8_mve_params *params,
                                       const int8_t *input, int8_t *output, void *scratch) {
  fully_connected(params, input, output, scratch, groups_relu);
}

void trecx_fully_connected_s8_mve_per_channel(const trecx_fully_connected_s8_mve_params *params,
                                              const int8_t *input, int8_t *output, void *scratch) {
  fully_connected(params, input, output, scratch, groups_per_channel);
}

void trecx_fully_connected_s8_mve_per_channel_relu(
    const trecx_fully_connected_s8_mve_params *params, const int8_t *input, int8_t *output,
    void *scratch) {
  fully_connected(params, input, output, scratch, groups_per_channel_relu);
}
