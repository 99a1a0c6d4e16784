/* 3x3 depthwise convolution: one channel at a time, eight output pixels at a time.
 *
 * Two channels are unpacked from the interleaved input into two planes with a border of zero
 * points. At stride 1, one gather fetches a patch of 4x4 pixels; its dot products with the kernel,
 * shifted by 0 or 1 in x and y in a 4x4 frame, are 2x2 outputs ("square"), or 2x1 in the last
 * column of an odd width. At stride 2, one gather fetches 3x5 pixels, for two neighbouring outputs.
 *
 * Which patches make up a block, and where its outputs go, is tabulated once for all channels. So a
 * block may take any patches: odd sizes are covered by patches that overlap. Channels are finished
 * one after the other, and output of a channel only ever replaces input of the same channel: in
 * place works. */
#include <stddef.h>

#include "trecx/kernels/depthwise_conv2d_s8_mve.h"
#include "trecx/mve_arith.h"
#include "trecx/mve_memory.h"

/* One of the two planes. */
typedef struct {
  const int8_t *const *patches; /* of all blocks */
  uint32_t next;                /* code that follows its channel; set by the assembly */
  uint8_t patch_offsets[16];    /* of the gathered values (stride 1: pairs of values) */
} plane;

typedef struct {
  uint32_t zero; /* these five are read by one LDM: state of the loop over channels */
  const int8_t *packed;
  int32_t more_bands; /* bands but one */
  const plane *next_plane;
  int8_t *output;      /* minus 1 */
  const int8_t *input; /* these nine are read by one LDM */
  const uint16_t *input_places;
  int8_t *origin; /* of the image in the first plane */
  int32_t pixels;
  int32_t group_pixels;
  int32_t group_bytes; /* in the input */
  int32_t group_step;  /* in the plane */
  int32_t plane_bytes;
  int32_t pixel_step; /* of eight pixels */
  int32_t channel_pairs;
  const uint16_t *output_places; /* of the blocks of one band */
  int32_t blocks;                /* of a band */
  int32_t column_blocks;         /* of a band; stride 1 */
  int32_t band_bytes;            /* in the output */
  int32_t zero_point;
  uint16_t pixel_offsets[8]; /* of eight neighbouring input pixels */
  plane planes[2];
} depthwise;

/* clang-format off */

/* The kernel in its four places of a 4x4 frame. The first byte of the record is the shift, the word
 * behind the last row is none of the kernel's (P0 leaves it out). r0 is 0 before and after. */
#define FILTERS_STRIDE1                  \
  "vpst \n"                              \
  "vldrwt.u32 q0, [r1], #12 \n"          \
  "ldrsb r11, [r1, #-12] \n"             \
  "vshr.u32 q0, q0, #8 \n"               \
  "vmov q2, q0 \n"                       \
  "vshlc q2, r0, #32 \n"                 \
  "vshl.i32 q1, q0, #8 \n"               \
  "vshl.i32 q3, q2, #8 \n"

/* Accumulators of two squares in q6 and q7. */
#define SQUARES                    \
  "ldrd r1, r3, [r5], #8 \n"       \
  "vldrh.u16 q6, [r1, q5] \n"      \
  "vldrh.u16 q7, [r3, q5] \n"      \
  "vmladav.s8 r0, q0, q6 \n"       \
  "vmladav.s8 r2, q1, q6 \n"       \
  "vmladav.s8 r4, q2, q6 \n"       \
  "vmladav.s8 r6, q3, q6 \n"       \
  "vmov q6[2], q6[0], r0, r4 \n"   \
  "vmov q6[3], q6[1], r2, r6 \n"   \
  "vmladav.s8 r0, q0, q7 \n"       \
  "vmladav.s8 r2, q1, q7 \n"       \
  "vmladav.s8 r4, q2, q7 \n"       \
  "vmladav.s8 r6, q3, q7 \n"       \
  "vmov q7[2], q7[0], r0, r4 \n"   \
  "vmov q7[3], q7[1], r2, r6 \n"

/* The same of four pairs of pixels, one above the other. */
#define COLUMNS                    \
  "ldrd r1, r3, [r5], #8 \n"       \
  "vldrh.u16 q6, [r1, q5] \n"      \
  "vldrh.u16 q7, [r3, q5] \n"      \
  "vmladav.s8 r0, q0, q6 \n"       \
  "vmladav.s8 r2, q2, q6 \n"       \
  "vmladav.s8 r4, q0, q7 \n"       \
  "vmladav.s8 r6, q2, q7 \n"       \
  "ldrd r1, r3, [r5], #8 \n"       \
  "vmov q6[2], q6[0], r0, r4 \n"   \
  "vmov q6[3], q6[1], r2, r6 \n"   \
  "vldrh.u16 q7, [r1, q5] \n"      \
  "vmladav.s8 r0, q0, q7 \n"       \
  "vmladav.s8 r2, q2, q7 \n"       \
  "vldrh.u16 q7, [r3, q5] \n"      \
  "vmladav.s8 r4, q0, q7 \n"       \
  "vmladav.s8 r6, q2, q7 \n"       \
  "vmov q7[2], q7[0], r0, r4 \n"   \
  "vmov q7[3], q7[1], r2, r6 \n"

/* Lanes 0 to 11: columns 0 to 3 of the three rows; lanes 12 to 14: their column 4. For the left
 * output, columns 0 to 2; for the right one, columns 2 to 4. */
#define FILTERS_STRIDE2                  \
  "vpst \n"                              \
  "vldrwt.u32 q0, [r1, #4] \n"           \
  "ldrsb r11, [r1, #4] \n"               \
  "vshr.u32 q0, q0, #8 \n"               \
  "ldr r0, [r1], #16 \n"                 \
  "vshl.i32 q1, q0, #16 \n"              \
  "vmov.32 q1[3], r0 \n"

/* Accumulators of four pairs of neighbours. */
#define NEIGHBOURS                 \
  "ldm.w r5!, {r1, r3, r4, r6} \n" \
  "vldrb.u8 q2, [r1, q5] \n"       \
  "vldrb.u8 q3, [r3, q5] \n"       \
  "vldrb.u8 q7, [r4, q5] \n"       \
  "vmladav.s8 r0, q0, q2 \n"       \
  "vmladav.s8 r2, q1, q2 \n"       \
  "vldrb.u8 q2, [r6, q5] \n"       \
  "vmladav.s8 r4, q0, q3 \n"       \
  "vmladav.s8 r6, q1, q3 \n"       \
  "vmov q6[2], q6[0], r0, r4 \n"   \
  "vmov q6[3], q6[1], r2, r6 \n"   \
  "vmladav.s8 r0, q0, q7 \n"       \
  "vmladav.s8 r2, q1, q7 \n"       \
  "vmladav.s8 r4, q0, q2 \n"       \
  "vmladav.s8 r6, q1, q2 \n"       \
  "vmov q7[2], q7[0], r0, r4 \n"   \
  "vmov q7[3], q7[1], r2, r6 \n"

/* Accumulators to int16 in q6: r8 bias, r10 multiplier, r11 minus the shift. */
#define PREPARE_TIES "rsb r11, r11, #0 \n"

#define SCALE_TIES                 \
  "vadd.i32 q6, q6, r8 \n"         \
  "vadd.i32 q7, q7, r8 \n"         \
  "vshr.s32 q4, q6, #31 \n"        \
  "vqrdmlah.s32 q4, q6, r10 \n"    \
  "vshr.s32 q6, q7, #31 \n"        \
  "vqrdmlah.s32 q6, q7, r10 \n"    \
  "vrshl.s32 q4, r11 \n"           \
  "vrshl.s32 q6, r11 \n"           \
  "vqmovnt.s32 q6, q6 \n"          \
  "vqmovnb.s32 q6, q4 \n"          \
  "ldr r1, [r12, %[zero_point]] \n" \
  "vqadd.s16 q6, q6, r1 \n"

/* Without correction of ties; the output's zero point is added before the shift: VQRDMLASH
 * multiplies by q4 and adds r10. */
#define SCALE_EARLY                \
  "vadd.i32 q6, q6, r8 \n"         \
  "vadd.i32 q7, q7, r8 \n"         \
  "vqrdmlash.s32 q6, q4, r10 \n"   \
  "vqrdmlash.s32 q7, q4, r10 \n"   \
  "vrshl.s32 q6, r11 \n"           \
  "vrshl.s32 q7, r11 \n"           \
  "vqmovnb.s32 q6, q6 \n"          \
  "vqmovnt.s32 q6, q7 \n"

/* The same for a known shift. */
#define SCALE_SHIFT                \
  "vadd.i32 q6, q6, r8 \n"         \
  "vadd.i32 q7, q7, r8 \n"         \
  "vqrdmlash.s32 q6, q4, r10 \n"   \
  "vqrdmlash.s32 q7, q4, r10 \n"   \
  "vqrshrnb.s32 q6, q6, #\\shift \n" \
  "vqrshrnt.s32 q6, q7, #\\shift \n"

/* r11: the shift. */
#define PREPARE_EARLY                    \
  "vdup.32 q4, r10 \n"                   \
  "ldr r0, [r12, %[zero_point]] \n"      \
  "lsl r10, r0, r11 \n"

#define STORE                      \
  "vldrh.u16 q7, [r7], #16 \n"     \
  "vqmovnb.s16 q6, q6 \n"          \
  "vstrb.16 q6, [r9, q7] \n"

#define BLOCKS(ACCUMULATORS, SCALE) \
  "7: \n"                           \
  ACCUMULATORS                      \
  SCALE                             \
  STORE                             \
  "le lr, 7b \n"

/* A loop over the blocks for every shift from 5 to 12, found by r11 in a table of branches. */
#define BLOCKS_BY_SHIFT(ACCUMULATORS)                     \
  "tbh [pc, r11, lsl #1] \n"                              \
  "40: .short 0, 0, 0, 0, 0 \n"                           \
  ".short (15f - 40b) / 2, (16f - 40b) / 2 \n"            \
  ".short (17f - 40b) / 2, (18f - 40b) / 2 \n"            \
  ".short (19f - 40b) / 2, (110f - 40b) / 2 \n"           \
  ".short (111f - 40b) / 2, (112f - 40b) / 2 \n"          \
  ".irp shift, 5, 6, 7, 8, 9, 10, 11, 12 \n"              \
  "1\\shift: \n"                                          \
  BLOCKS(ACCUMULATORS, SCALE_SHIFT)                       \
  "b.w 45f \n"                                            \
  ".endr \n"                                              \
  "45: \n"

/* r11 is negated, if at all, around the loop. */
#define COLUMN_BLOCKS(SCALE, NEGATE)       \
  "ldr lr, [r12, %[column_blocks]] \n"     \
  "wls lr, lr, 46f \n"                     \
  NEGATE                                   \
  BLOCKS(COLUMNS, SCALE)                   \
  NEGATE                                   \
  "46: \n"

#define FIELD(field) [field] "i"(offsetof(depthwise, field))

/* All channels. r12: work. Staging: r1 pixels, r2 places, r3 and r10 planes, r4 pixels left. Blocks:
 * r5 patches, r7 places of the outputs, r9 output, q0 to q3 kernel, q5 offsets in a patch; on the
 * stack: bands left, and what follows the channel. P0: the first three words of a vector. */
#define CHANNELS(name, FILTERS, PREPARE, ALL_BLOCKS)                                        \
  static __attribute__((noinline)) void name(depthwise *work) {                             \
    register depthwise *r12 __asm__("r12") = work;                                          \
    __asm__ volatile(                                                                       \
        "push {r7} \n"                                                                      \
        "movw r0, #0x0FFF \n"                                                               \
        "vmsr p0, r0 \n"                                                                    \
        "adr.w r0, 30f \n"                                                                  \
        "orr r0, r0, #1 \n"                                                                 \
        "str r0, [r12, %[next]] \n"                                                         \
        "adr.w r0, 33f \n"                                                                  \
        "orr r0, r0, #1 \n"                                                                 \
        "str r0, [r12, %[last]] \n"                                                         \
        /* Unpack two channels. */                                                          \
        "10: add r0, r12, %[input] \n"                                                      \
        "ldm r0, {r1, r2, r3, r4, r6, r8, r9, r10, r11} \n"                                 \
        "add r5, r1, #2 \n"                                                                 \
        "str r5, [r0] \n"                                                                   \
        "vldrw.u32 q0, [r12, %[pixel_offsets]] \n"                                          \
        "add r10, r10, r3 \n"                                                               \
        "20: cmp r4, r6 \n"                                                                 \
        "csel r0, r4, r6, lt \n"                                                            \
        "mov r5, r1 \n"                                                                     \
        "mov r7, r2 \n"                                                                     \
        "dlstp.16 lr, r0 \n"                                                                \
        "21: vldrh.u16 q1, [r5, q0] \n"                                                     \
        "vldrh.u16 q2, [r7], #16 \n"                                                        \
        "vshr.u16 q3, q1, #8 \n"                                                            \
        "add r5, r5, r11 \n"                                                                \
        "vstrb.16 q1, [r3, q2] \n"                                                          \
        "vstrb.16 q3, [r10, q2] \n"                                                         \
        "letp lr, 21b \n"                                                                   \
        "subs r4, r4, r6 \n"                                                                \
        "ble 22f \n"                                                                        \
        "add r1, r1, r8 \n"                                                                 \
        "add r3, r3, r9 \n"                                                                 \
        "add r10, r10, r9 \n"                                                               \
        "b 20b \n"                                                                          \
        "22: add r0, r12, %[planes] \n"                                                     \
        "str r0, [r12, %[next_plane]] \n"                                                   \
        /* One channel. */                                                                  \
        "30: ldm r12, {r0, r1, r2, r3, r9} \n"                                              \
        FILTERS                                                                             \
        "ldm r1!, {r8, r10} \n"                                                             \
        "add r9, r9, #1 \n"                                                                 \
        "ldrd r5, r4, [r3], #8 \n"                                                          \
        "vldrw.u32 q5, [r3], #16 \n"                                                        \
        "stm r12, {r0, r1, r2, r3, r9} \n"                                                  \
        PREPARE                                                                             \
        "push {r2, r4} \n"                                                                  \
        "31: ldrd r7, lr, [r12, %[output_places]] \n"                                       \
        ALL_BLOCKS                                                                          \
        "ldr r1, [sp] \n"                                                                   \
        "cbnz r1, 32f \n"                                                                   \
        "pop {r1, pc} \n"                                                                   \
        "32: subs r1, r1, #1 \n"                                                            \
        "str r1, [sp] \n"                                                                   \
        "ldr r0, [r12, %[band_bytes]] \n"                                                   \
        "add r9, r9, r0 \n"                                                                 \
        "b 31b \n"                                                                          \
        ".balign 4 \n"                                                                      \
        "33: ldr r0, [r12, %[channel_pairs]] \n"                                            \
        "subs r0, r0, #1 \n"                                                                \
        "str r0, [r12, %[channel_pairs]] \n"                                                \
        "bne 10b \n"                                                                        \
        "pop {r7} \n"                                                                       \
        : "+r"(r12)                                                                         \
        : FIELD(input), FIELD(pixel_offsets), FIELD(planes), FIELD(next_plane),             \
          FIELD(output_places), FIELD(band_bytes), FIELD(zero_point), FIELD(channel_pairs), \
          FIELD(column_blocks), [next] "i"(offsetof(depthwise, planes[0].next)),            \
          [last] "i"(offsetof(depthwise, planes[1].next))                                   \
        : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "lr", "q0",   \
          "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");                        \
  }

CHANNELS(channels_stride1, FILTERS_STRIDE1, PREPARE_TIES,
         BLOCKS(SQUARES, SCALE_TIES) COLUMN_BLOCKS(SCALE_TIES, ""))
CHANNELS(channels_stride2, FILTERS_STRIDE2, PREPARE_TIES, BLOCKS(NEIGHBOURS, SCALE_TIES))
CHANNELS(channels_stride1_relu, FILTERS_STRIDE1, PREPARE_EARLY,
         BLOCKS_BY_SHIFT(SQUARES) COLUMN_BLOCKS(SCALE_EARLY, "rsb r11, r11, #0 \n"))
CHANNELS(channels_stride2_relu, FILTERS_STRIDE2, PREPARE_EARLY, BLOCKS_BY_SHIFT(NEIGHBOURS))

/* clang-format on */

/* --- tables --- */

/* Patches and output places of one band are laid down unit by unit: a patch and the pixels it
 * gives, four or two. Of the eight pixels of a block, the first four end up in the even lanes, the
 * others in the odd ones. */
typedef struct {
  const int8_t **patch; /* to be written next */
  uint16_t *place;      /* of the block */
  uint32_t count;       /* units of the band so far */
  uint32_t first;       /* where the block's first square goes */
} table;

/* Two 16-bit numbers in a word. */
static inline uint32_t both(uint32_t low, uint32_t high) {
  return low | high << 16;
}

/* at: where the top left pixel goes in the output; pixels: places of the four pixels from there,
 * each for both squares of a block. */
static inline void add_square(table *t, const int8_t *patch, uint32_t at, uint16x8_t pixels) {
  *t->patch++ = patch;
  if (t->count++ & 1) {
    const uint16x8_t squares = vreinterpretq_u16_u32(vdupq_n_u32(both(t->first, at)));
    vst1q_u16(t->place, vaddq_u16(squares, pixels));
    t->place += 8;
  } else {
    t->first = at;
  }
}

static inline void add_pair(table *t, const int8_t *patch, uint32_t first, uint32_t second) {
  uint16_t *place = t->place + 4 * (t->count & 1) + (t->count >> 1 & 1);
  *t->patch++ = patch;
  place[0] = (uint16_t)first;
  place[2] = (uint16_t)second;
  if ((t->count++ & 3) == 3) t->place += 8;
}

/* Stride 1: two rows at a time; of an odd number the last two overlap the others. The last unit is
 * repeated to fill a block. */
static table add_squares(table t, const trecx_depthwise_conv2d_s8_mve_3x3_params *p,
                         const int8_t *plane) {
  const int32_t rows = p->band_rows, width = p->output_width, squares = width / 2;
  const uint32_t pixel = (uint32_t)p->channels, row = (uint32_t)width * pixel;
  uint32x4_t pixels = vdupq_n_u32(0);
  pixels = vsetq_lane_u32(both(pixel, pixel), pixels, 1);
  pixels = vsetq_lane_u32(both(row, row), pixels, 2);
  pixels = vsetq_lane_u32(both(row + pixel, row + pixel), pixels, 3);
  for (int32_t i = 0; i < rows; i += 2) {
    const int32_t y = i < rows - 2 ? i : rows - 2;
    const int8_t *patch = plane + y * p->plane_width;
    uint32_t at = (uint32_t)y * row;
    for (int32_t left = squares; left > 0; left--) {
      add_square(&t, patch, at, vreinterpretq_u16_u32(pixels));
      patch += 2;
      at += 2 * pixel;
    }
    if (i >= rows - 2 && t.count & 1) {
      add_square(&t, patch - 2, at - 2 * pixel, vreinterpretq_u16_u32(pixels));
    }
  }
  return t;
}

/* Stride 1: the last column of an odd width, likewise. */
static void add_columns(table *t, const trecx_depthwise_conv2d_s8_mve_3x3_params *p,
                        const int8_t *plane) {
  const int32_t rows = p->band_rows, x = p->output_width - 1;
  const uint32_t pixel = (uint32_t)p->channels, row = (uint32_t)p->output_width * pixel;
  t->count = 0;
  for (int32_t i = 0; (x & 1) == 0 && (i < rows || t->count & 3); i += 2) {
    const int32_t y = i < rows - 2 ? i : rows - 2;
    const uint32_t at = (uint32_t)y * row + (uint32_t)x * pixel;
    add_pair(t, plane + y * p->plane_width + x, at, at + row);
  }
}

/* Stride 2: the last pair of an odd number of pixels overlaps the one before. */
static void add_pairs(table *t, const trecx_depthwise_conv2d_s8_mve_3x3_params *p,
                      const int8_t *plane) {
  const int32_t width = p->output_width, even_width = width & ~1;
  const uint32_t pixel = (uint32_t)p->channels;
  uint32_t at = 0; /* of the row's first pixel */
  for (int32_t y = 0; y < p->band_rows; y++) {
    const uint32_t last = at + (uint32_t)(width - 2) * pixel;
    for (int32_t x = 0; x < even_width; x += 2) {
      add_pair(t, plane + 2 * x, at, at + pixel);
      at += 2 * pixel;
    }
    if (width & 1) {
      add_pair(t, plane + 2 * (width - 2), last, last + pixel);
      at += pixel;
    }
    while (y == p->band_rows - 1 && t->count & 3) {
      add_pair(t, plane + 2 * (width - 2), last, last + pixel);
    }
    plane += p->stride_height * p->plane_width;
  }
}

/* The patches of the other bands and, at stride 2, of the other plane follow those of the first
 * band: each `step` bytes behind the one `units` before. */
static void repeat_patches(const int8_t **patches, int32_t units, int32_t times, int32_t step) {
  const int8_t **to = patches + units;
  __asm__ volatile(
      "wlstp.32 lr, %[count], 2f \n"
      "1: vldrw.u32 q0, [%[from]], #16 \n"
      "vadd.i32 q0, q0, %[step] \n"
      "vstrw.32 q0, [%[to]], #16 \n"
      "letp lr, 1b \n"
      "2: \n"
      : [from] "+r"(patches), [to] "+r"(to)
      : [step] "r"(step), [count] "r"(units * (times - 1))
      : "lr", "q0", "memory");
}

/* Eight at a time: up to seven more are written behind each row. */
static void set_input_places(const trecx_depthwise_conv2d_s8_mve_3x3_params *p, uint16_t *place) {
  const int32_t width = p->input_width;
  uint32_t at = 0;
  for (int32_t y = 0; y < p->group_rows; y++) {
    for (int32_t x = 0; x < width; x += 8) vst1q_u16(place + x, vidupq_n_u16(at + (uint32_t)x, 1));
    place += width;
    at += (uint32_t)p->plane_width;
  }
}

/* Offsets of what one gather fetches from a plane `width` wide. Stride 1: pairs of values of a 4x4
 * patch, as 16-bit numbers; stride 2: single values, as 8-bit numbers. */
static inline uint8x16_t patch_offsets(int32_t width, int32_t stride) {
  if (stride == 1) {
    const uint16x8_t i = vidupq_n_u16(0, 1);
    const uint16x8_t columns = vshlq_n_u16(vandq_u16(i, vdupq_n_u16(1)), 1);
    const uint16x8_t rows = vmulq_n_u16(vshrq_n_u16(i, 1), (uint16_t)width);
    return vreinterpretq_u8_u16(vaddq_u16(rows, columns));
  }
  const uint8x16_t i = vidupq_n_u8(0, 1);
  const uint8x16_t columns = vandq_u8(i, vdupq_n_u8(3));
  const uint8x16_t offsets = vmlaq_n_u8(columns, vshrq_n_u8(i, 2), (uint8_t)width);
  /* The last four: column 4 of the three rows, and the first value. */
  const uint32_t fifths = 0x00040404u + ((uint32_t)width << 8) + ((uint32_t)width << 17);
  return vreinterpretq_u8_u32(vsetq_lane_u32(fifths, vreinterpretq_u32_u8(offsets), 3));
}

/* Both planes; at stride 1 they share their patches, and the offsets differ. */
static inline void set_planes(plane planes[2], const int8_t *const *patches, int32_t units,
                              int32_t plane_bytes, int32_t width, int32_t stride) {
  const uint8x16_t offsets = patch_offsets(width, stride);
  planes[0].patches = patches;
  vst1q_u8(planes[0].patch_offsets, offsets);
  if (stride == 1) {
    planes[1].patches = patches;
    vst1q_u16((uint16_t *)(void *)planes[1].patch_offsets,
              vaddq_n_u16(vreinterpretq_u16_u8(offsets), (uint16_t)plane_bytes));
  } else {
    planes[1].patches = patches + units;
    vst1q_u8(planes[1].patch_offsets, offsets);
  }
}

/* Makes input and output start at the same place, or apart: a channel of the output must not
 * replace another channel of the input. */
static const int8_t *aligned_input(const trecx_depthwise_conv2d_s8_mve_3x3_params *p,
                                   const int8_t *input, int8_t *output) {
  const int32_t output_bytes = p->output_height * p->output_width * p->channels;
  const uintptr_t distance = (uintptr_t)input - (uintptr_t)output;
  if (distance >= (uintptr_t)output_bytes || distance % (uintptr_t)p->channels == 0) return input;
  trecx_mve_move(output, input, p->input_height * p->input_width * p->channels);
  return output;
}

static __attribute__((noinline)) void depthwise_3x3(
    const trecx_depthwise_conv2d_s8_mve_3x3_params *p, const int8_t *input, int8_t *output,
    void *scratch, int32_t stride, void (*run_channels)(depthwise *)) {
  const int32_t plane_bytes = p->plane_height * p->plane_width;
  const int32_t bands = p->output_height / p->band_rows;
  depthwise *work = scratch;
  const int8_t **patches = (const int8_t **)(work + 1);
  const int32_t rows = p->band_rows, width = p->output_width;
  const int32_t squares = trecx_mve_round_up((rows + 1) / 2 * (width / 2), 2);
  const int32_t columns = (width & 1) * trecx_mve_round_up((rows + 1) / 2, 4);
  const int32_t neighbours = trecx_mve_round_up(rows * ((width + 1) / 2), 4);
  const int32_t units = stride == 1 ? squares + columns : neighbours;
  uint16_t *output_places = (uint16_t *)(patches + units * bands * stride);
  uint16_t *input_places =
      output_places + (stride == 1 ? 4 * squares + 2 * columns : 2 * neighbours);
  const int32_t group_pixels = p->group_rows * p->input_width;
  int8_t *planes = (int8_t *)(input_places + trecx_mve_round_up(group_pixels, 2) + 8);

  table t = {patches, output_places, 0, 0};
  if (stride == 1) {
    t = add_squares(t, p, planes);
    add_columns(&t, p, planes);
  } else {
    add_pairs(&t, p, planes);
  }
  repeat_patches(patches, units, bands, rows * p->stride_height * p->plane_width);
  if (stride == 2) repeat_patches(patches, units * bands, 2, plane_bytes);
  set_input_places(p, input_places);
  trecx_mve_set(planes, p->input_zero_point, 2 * plane_bytes);

  work->packed = p->packed;
  work->zero = 0;
  work->more_bands = bands - 1;
  work->output = output - 1;
  work->input = aligned_input(p, input, output);
  work->input_places = input_places;
  work->origin = planes + p->pad_top * p->plane_width + p->pad_left;
  work->pixels = p->input_height * p->input_width;
  work->group_pixels = group_pixels;
  work->group_bytes = group_pixels * p->channels;
  work->group_step = p->group_rows * p->plane_width;
  work->plane_bytes = plane_bytes;
  work->pixel_step = 8 * p->channels;
  work->channel_pairs = p->channels / 2;
  work->output_places = output_places;
  work->blocks = stride == 1 ? squares / 2 : neighbours / 4;
  work->column_blocks = columns / 4;
  work->band_bytes = rows * width * p->channels;
  work->zero_point = p->output_zero_point;
  vst1q_u16(work->pixel_offsets, vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)p->channels));
  set_planes(work->planes, patches, units * bands, plane_bytes, p->plane_width, stride);
  run_channels(work);
  trecx_mve_clamp(output, p->output_height * p->output_width * p->channels, p->activation_min,
                  p->activation_max);
}

void trecx_depthwise_conv2d_s8_mve_3x3_stride1(
    const trecx_depthwise_conv2d_s8_mve_3x3_params *params, const int8_t *input, int8_t *output,
    void *scratch) {
  depthwise_3x3(params, input, output, scratch, 1, channels_stride1);
}

void trecx_depthwise_conv2d_s8_mve_3x3_stride2(
    const trecx_depthwise_conv2d_s8_mve_3x3_params *params, const int8_t *input, int8_t *output,
    void *scratch) {
  depthwise_3x3(params, input, output, scratch, 2, channels_stride2);
}

void trecx_depthwise_conv2d_s8_mve_3x3_stride1_relu(
    const trecx_depthwise_conv2d_s8_mve_3x3_params *params, const int8_t *input, int8_t *output,
    void *scratch) {
  depthwise_3x3(params, input, output, scratch, 1, channels_stride1_relu);
}

void trecx_depthwise_conv2d_s8_mve_3x3_stride2_relu(
    const trecx_depthwise_conv2d_s8_mve_3x3_params *params, const int8_t *input, int8_t *output,
    void *scratch) {
  depthwise_3x3(params, input, output, scratch, 2, channels_stride2_relu);
}
