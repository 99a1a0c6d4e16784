/* Products of staged patches and packed filters; see trecx/mve_product.h. */
#include <stddef.h>

#include "trecx/mve_arith.h"
#include "trecx/mve_product.h"

/* clang-format off */

/* 32 values of one patch; a, b: its accumulators. Weights in q0 to q3. */
#define RESIDENT_CHUNKS(a, b)      \
  "vldrw.u32 q4, [r1], #16 \n"     \
  "vldrw.u32 q5, [r1], #16 \n"     \
  "vmladav.s8 " a ", q0, q4 \n"    \
  "vmladav.s8 " b ", q1, q4 \n"    \
  "vmladava.s8 " a ", q2, q5 \n"   \
  "vmladava.s8 " b ", q3, q5 \n"

#define RESIDENT_BLOCK           \
  RESIDENT_CHUNKS("r0", "r8")    \
  RESIDENT_CHUNKS("r2", "r10")   \
  RESIDENT_CHUNKS("r4", "r12")   \
  RESIDENT_CHUNKS("r6", "lr")

/* 16 values of four patches: 14 instructions of 4 bytes. */
#define STREAMED_CHUNK(weights0, weights1)   \
  "vldrw.u32 q4, [r1], #16 \n"               \
  "vldrw.u32 q6, " weights0 " \n"            \
  "vldrw.u32 q7, " weights1 " \n"            \
  "vmladava.s8 r0, q6, q4 \n"                \
  "vldrw.u32 q5, [r1], #16 \n"               \
  "vmladava.s8 r8, q7, q4 \n"                \
  "vmladava.s8 r2, q6, q5 \n"                \
  "vldrw.u32 q4, [r1], #16 \n"               \
  "vmladava.s8 r10, q7, q5 \n"               \
  "vmladava.s8 r4, q6, q4 \n"                \
  "vldrw.u32 q5, [r1], #16 \n"               \
  "vmladava.s8 r12, q7, q4 \n"               \
  "vmladava.s8 r6, q6, q5 \n"                \
  "vmladava.s8 lr, q7, q5 \n"

/* 16 values of three patches: 11 instructions of 4 bytes. */
#define SHORT_CHUNK(weights0, weights1)      \
  "vldrw.u32 q4, [r1], #16 \n"               \
  "vldrw.u32 q6, " weights0 " \n"            \
  "vldrw.u32 q7, " weights1 " \n"            \
  "vmladava.s8 r0, q6, q4 \n"                \
  "vldrw.u32 q5, [r1], #16 \n"               \
  "vmladava.s8 r8, q7, q4 \n"                \
  "vmladava.s8 r2, q6, q5 \n"                \
  "vldrw.u32 q4, [r1], #16 \n"               \
  "vmladava.s8 r10, q7, q5 \n"               \
  "vmladava.s8 r4, q6, q4 \n"                \
  "vmladava.s8 r12, q7, q4 \n"

/* The chunks that are streamed without a loop, by the distance of their weights from the end of the
 * record. Longer filters, and the correction of ties, take the loop. Few patches have long filters,
 * as a rule: 14 chunks for blocks of three (256 channels), 6 for blocks of four. */
#define UNROLL_6 ".irp behind, 192, 160, 128, 96, 64, 32 \n"
#define UNROLL_14                                                                        \
  ".irp behind, 448, 416, 384, 352, 320, 288, 256, 224, 192, 160, 128, 96, 64, 32 \n"

/* Where a block goes on after its resident chunks: in the unrolled code, or in the loop. */
#define ENTRY(unrolled, unrolled_end, chunk_bytes, loop) \
  "ldr r0, [r9, %[streamed]] \n"                \
  "ldr r1, [r9, %[correct_ties]] \n"            \
  "adr.w r11, " unrolled_end " \n"              \
  "mov r2, " chunk_bytes " \n"                  \
  "mls r11, r0, r2, r11 \n"                     \
  "cmp r0, " unrolled " \n"                     \
  "bgt 8f \n"                                   \
  "cbz r1, 9f \n"                               \
  "8: adr.w r11, " loop " \n"                   \
  "9: orr r11, r11, #1 \n"

/* Streams all chunks, two a round, of an odd number one in the first round. r3 ends where the
 * weights end, r11 as it was; the flags say equal if ties need no correction. */
#define STREAM_BY_TWO(CHUNK, loop)         \
  "ldr r11, [r9, %[streamed]] \n"          \
  "sub r3, r3, r11, lsl #5 \n"             \
  "add r11, r11, #1 \n"                    \
  "lsrs r11, r11, #1 \n"                   \
  "beq 8f \n"                              \
  "bcc 7f \n"                              \
  "6: \n"                                  \
  CHUNK("[r3], #16", "[r3], #16")          \
  "7: \n"                                  \
  CHUNK("[r3], #16", "[r3], #16")          \
  "subs r11, r11, #1 \n"                   \
  "bne 6b \n"                              \
  "8: ldr r11, [r9, %[correct_ties]] \n"   \
  "cmp r11, #0 \n"                         \
  "adr.w r11, " loop " \n"                 \
  "orr r11, r11, #1 \n"

/* The pair of filters at r3: its first 32 weights to q0 to q3, its requantisation to the work area.
 * r3 goes to where the weights end. */
#define NEXT_PAIR                              \
  "ldr r5, [r9, %[output]] \n"                 \
  "ldrd r1, r7, [r9, %[patches]] \n"           \
  "ldr lr, [r9, %[weight_bytes]] \n"           \
  "vldrw.u32 q0, [r3] \n"                      \
  "vldrw.u32 q1, [r3, #16] \n"                 \
  "vldrw.u32 q2, [r3, #32] \n"                 \
  "vldrw.u32 q3, [r3, #48] \n"                 \
  "add r3, r3, lr \n"                          \
  "ldm r3, {r0, r2, r6, r8} \n"                \
  "ldrsb r4, [r3, #16] \n"                     \
  "ldrsb r10, [r3, #17] \n"                    \
  "stm r9, {r0, r2, r4, r6, r8, r10} \n"       \
  "add r2, r5, #2 \n"                          \
  "str r2, [r9, %[output]] \n"

/* To the next pair. Sets the flags: not equal if there is one. */
#define PAIR_DONE                          \
  "ldr r0, [r9, %[packed_end]] \n"         \
  "add r3, r3, #20 \n"                     \
  "cmp r0, r3 \n"

/* A finished block to vectors; r0 to r10: requantisation, r12: zero point, lr: step to the next. */
#define BLOCK_DONE                                   \
  TRECX_MVE_BLOCK_TO_VECTORS                         \
  "ldm r9, {r0, r2, r4, r6, r8, r10, r12, lr} \n"

/* A finished block of three: the third patch stands in for the fourth. */
#define SHORT_BLOCK_DONE                             \
  "mov r6, r4 \n"                                    \
  "mov lr, r12 \n"                                   \
  TRECX_MVE_BLOCK_TO_VECTORS                         \
  "ldm r9, {r0, r2, r4, r6, r8, r10, r12} \n"        \
  "ldr lr, [r9, %[short_step]] \n"

/* Scaled values, int16 in q4, to the output at r5. Sets the flags: not equal if there is another
 * block. */
#define STORE(offsets)                       \
  "vldrh.u16 q5, [r9, %[" offsets "]] \n"    \
  "vqadd.s16 q4, q4, r12 \n"                 \
  "vqmovnb.s16 q4, q4 \n"                    \
  "vstrb.16 q4, [r5, q5] \n"                 \
  "add r5, r5, lr \n"                        \
  "subs r7, r7, #1 \n"

#define FIELD(field) [field] "i"(offsetof(trecx_mve_product, field))
#define FIELDS                                                                          \
  FIELD(offsets), FIELD(short_offsets), FIELD(wide_offsets), FIELD(short_step),         \
  FIELD(short_blocks), FIELD(patches), FIELD(weight_bytes), FIELD(packed),              \
  FIELD(packed_end), FIELD(streamed), FIELD(correct_ties), FIELD(output)

/* Any number of chunks from 2 on, at least one block. r1: patches; r3: the pair's requantisation,
 * where its weights end; r5: output; r7: blocks left; r9: work; r11: where a block goes on. */
#define PRODUCT(name, COUNT, RESIDENT, UNROLL, unrolled, CHUNK, chunk_bytes, DONE, offsets) \
  void name(trecx_mve_product *work) {                             \
    register trecx_mve_product *r9 __asm__("r9") = work;                                            \
    __asm__ volatile(                                                                     \
        "push {r7} \n"                                                                    \
        ENTRY(unrolled, "30f", chunk_bytes, "40f")                                        \
        "ldr r3, [r9, %[packed]] \n"                                                      \
        "10: \n"                                                                          \
        NEXT_PAIR                                                                         \
        COUNT                                                                             \
        "20: \n"                                                                          \
        RESIDENT                                                                          \
        "bx r11 \n"                                                                       \
        ".balign 4 \n"                                                                    \
        UNROLL                                                                            \
        CHUNK("[r3, #-\\behind]", "[r3, #16-\\behind]")                                   \
        ".endr \n"                                                                        \
        "30: \n"                                                                          \
        DONE                                                                              \
        TRECX_MVE_BLOCK_SCALE                                                             \
        STORE(offsets)                                                                    \
        "bne 20b \n"                                                                      \
        "31: \n"                                                                          \
        PAIR_DONE                                                                         \
        "bne 10b \n"                                                                      \
        "b 50f \n"                                                                        \
        ".balign 4 \n"                                                                    \
        "40: \n"                                                                          \
        STREAM_BY_TWO(CHUNK, "40b")                                                       \
        "beq 30b \n"                                                                      \
        DONE                                                                              \
        TRECX_MVE_BLOCK_SCALE_TIES                                                        \
        STORE(offsets)                                                                    \
        "bne 20b \n"                                                                      \
        "b 31b \n"                                                                        \
        "50: pop {r7} \n"                                                                 \
        : "+r"(r9)                                                                        \
        : FIELDS                                                                          \
        : TRECX_MVE_CLOBBERS);                                                            \
  }

/* Two chunks: nothing is streamed, and the offsets stay in q7. */
#define NARROW_PRODUCT(name, SCALE)                                                       \
  void name(trecx_mve_product *work) {                             \
    register trecx_mve_product *r9 __asm__("r9") = work;                                            \
    __asm__ volatile(                                                                     \
        "push {r7} \n"                                                                    \
        "vldrh.u16 q7, [r9, %[offsets]] \n"                                               \
        "ldr r3, [r9, %[packed]] \n"                                                      \
        "10: \n"                                                                          \
        NEXT_PAIR                                                                         \
        "20: \n"                                                                          \
        RESIDENT_BLOCK                                                                    \
        TRECX_MVE_BLOCK_TO_VECTORS                                                        \
        "ldm r9, {r0, r2, r4, r6, r8, r10, r12, lr} \n"                                   \
        SCALE                                                                             \
        "vqadd.s16 q4, q4, r12 \n"                                                        \
        "vqmovnb.s16 q4, q4 \n"                                                           \
        "vstrb.16 q4, [r5, q7] \n"                                                        \
        "add r5, r5, lr \n"                                                               \
        "subs r7, r7, #1 \n"                                                              \
        "bne 20b \n"                                                                      \
        PAIR_DONE                                                                         \
        "bne 10b \n"                                                                      \
        "pop {r7} \n"                                                                     \
        : "+r"(r9)                                                                        \
        : FIELDS                                                                          \
        : TRECX_MVE_CLOBBERS);                                                            \
  }

/* The same for an even number of blocks, at most 36 output channels and a zero point of -128: two
 * blocks, one store. Results are limited to 0 to 255 before the zero point is added. */
#define NARROW_PRODUCT_BY_TWO(name)                                                       \
  void name(trecx_mve_product *work) {                             \
    register trecx_mve_product *r9 __asm__("r9") = work;                                            \
    __asm__ volatile(                                                                     \
        "push {r7} \n"                                                                    \
        "vldrb.u8 q7, [r9, %[wide_offsets]] \n"                                           \
        "ldr r3, [r9, %[packed]] \n"                                                      \
        "10: \n"                                                                          \
        NEXT_PAIR                                                                         \
        "20: \n"                                                                          \
        RESIDENT_BLOCK                                                                    \
        TRECX_MVE_TO_VECTORS("q6", "q5")                                                  \
        "ldm r9, {r0, r2, r4, r6, r8, r10} \n"                                            \
        TRECX_MVE_SCALE("q6", "q5")                                                       \
        RESIDENT_BLOCK                                                                    \
        TRECX_MVE_TO_VECTORS("q4", "q5")                                                  \
        "ldm r9, {r0, r2, r4, r6, r8, r10, r12, lr} \n"                                   \
        TRECX_MVE_SCALE("q4", "q5")                                                       \
        "vqmovunb.s16 q6, q6 \n"                                                          \
        "vqmovunt.s16 q6, q4 \n"                                                          \
        "vadd.i8 q6, q6, r12 \n"                                                          \
        "vstrb.8 q6, [r5, q7] \n"                                                         \
        "add r5, r5, lr, lsl #1 \n"                                                       \
        "subs r7, r7, #2 \n"                                                              \
        "bne 20b \n"                                                                      \
        PAIR_DONE                                                                         \
        "bne 10b \n"                                                                      \
        "pop {r7} \n"                                                                     \
        : "+r"(r9)                                                                        \
        : FIELDS                                                                          \
        : TRECX_MVE_CLOBBERS);                                                            \
  }

#define RESIDENT_SHORT_BLOCK     \
  RESIDENT_CHUNKS("r0", "r8")    \
  RESIDENT_CHUNKS("r2", "r10")   \
  RESIDENT_CHUNKS("r4", "r12")

PRODUCT(trecx_mve_multiply, "", RESIDENT_BLOCK, UNROLL_6, "#6", STREAMED_CHUNK, "#56", BLOCK_DONE,
        "offsets")

/* Blocks of three; work->patches points to the first. */
PRODUCT(trecx_mve_multiply_short, "ldr r7, [r9, %[short_blocks]] \n", RESIDENT_SHORT_BLOCK, UNROLL_14, "#14",
        SHORT_CHUNK, "#44", SHORT_BLOCK_DONE, "short_offsets")

NARROW_PRODUCT(trecx_mve_multiply_narrow, TRECX_MVE_BLOCK_SCALE_TIES)
NARROW_PRODUCT(trecx_mve_multiply_narrow_relu, TRECX_MVE_BLOCK_SCALE)
NARROW_PRODUCT_BY_TWO(trecx_mve_multiply_narrow_by_two_relu)

/* clang-format on */
