/* ADD: one input by multiplication, the other by a table, eight values at a time. */
#include <string.h>

#include "trecx/kernels/add_s8_mve.h"
#include "trecx/mve_arith.h"

/* Sums of the rescaled inputs: even values in q4, odd ones in q5. Loads and stores that change the
 * width of a value take low registers only, hence the "l" of the pointers below. */
#define SUMS                                 \
  "vldrb.u16 q0, [%[input2]], #8 \n"         \
  "vldrb.s16 q1, [%[input1]], #8 \n"         \
  "vmovlb.u16 q2, q0 \n"                     \
  "vmovlt.u16 q0, q0 \n"                     \
  "vldrw.u32 q4, [%[table], q2, uxtw #2] \n" \
  "vmovlb.s16 q3, q1 \n"                     \
  "vmovlt.s16 q1, q1 \n"                     \
  "vldrw.u32 q5, [%[table], q0, uxtw #2] \n" \
  "vmla.s32 q4, q3, %[factor] \n"            \
  "vmla.s32 q5, q1, %[factor] \n"

#define STORE(q)          \
  "vqmovnb.s16 " q ", " q \
  " \n"                   \
  "vstrb.16 " q           \
  ", [%[output]], #8 \n"  \
  "le lr, 1b \n"

typedef struct {
  const int8_t *input1, *input2;
  int8_t *output;
} position;

static position add(const trecx_add_s8_mve_params *p, position at, int32_t eights) {
  __asm__ volatile(
      "dls lr, %[eights] \n"
      "1: \n" SUMS
      "vshr.s32 q6, q4, #31 \n"
      "vshr.s32 q7, q5, #31 \n"
      "vqrdmlah.s32 q6, q4, %[multiplier] \n"
      "vqrdmlah.s32 q7, q5, %[multiplier] \n"
      "vrshl.s32 q6, %[shift] \n"
      "vrshl.s32 q7, %[shift] \n"
      "vqmovnb.s32 q6, q6 \n"
      "vqmovnt.s32 q6, q7 \n"
      "vqadd.s16 q6, q6, %[zero_point] \n" STORE("q6")
      : [input1] "+l"(at.input1), [input2] "+l"(at.input2), [output] "+l"(at.output)
      : [table] "r"(p->table), [factor] "r"(1 << 19), [multiplier] "r"(p->multiplier),
        [shift] "r"(p->shift), [zero_point] "r"(p->output_zero_point), [eights] "r"(eights)
      : "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "memory");
  return at;
}

/* The zero point is added before the shift: VQRDMLASH multiplies and adds a scalar. */
static position add_relu(const trecx_add_s8_mve_params *p, position at, int32_t eights) {
  __asm__ volatile(
      "vdup.32 q7, %[multiplier] \n"
      "dls lr, %[eights] \n"
      "1: \n" SUMS
      "vqrdmlash.s32 q4, q7, %[zero_point] \n"
      "vqrdmlash.s32 q5, q7, %[zero_point] \n"
      "vrshl.s32 q4, %[shift] \n"
      "vrshl.s32 q5, %[shift] \n"
      "vqmovnb.s32 q4, q4 \n"
      "vqmovnt.s32 q4, q5 \n" STORE("q4")
      : [input1] "+l"(at.input1), [input2] "+l"(at.input2), [output] "+l"(at.output)
      : [table] "r"(p->table), [factor] "r"(1 << 19), [multiplier] "r"(p->multiplier),
        [shift] "r"(p->shift), [zero_point] "r"(p->output_zero_point * (1 << -p->shift)),
        [eights] "r"(eights)
      : "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "memory");
  return at;
}

static inline void add_all(const trecx_add_s8_mve_params *p, position at,
                           position (*add_eights)(const trecx_add_s8_mve_params *, position,
                                                  int32_t)) {
  int8_t *output = at.output;
  const size_t rest = (size_t)p->count % 8;
  if (p->count >= 8) at = add_eights(p, at, p->count / 8);
  if (rest > 0) {
    int8_t a[8] = {0}, b[8] = {0}, result[8];
    const position copies = {a, b, result};
    memcpy(a, at.input1, rest);
    memcpy(b, at.input2, rest);
    add_eights(p, copies, 1);
    memcpy(at.output, result, rest);
  }
  trecx_mve_clamp(output, p->count, p->activation_min, p->activation_max);
}

void trecx_add_s8_mve(const trecx_add_s8_mve_params *params, const int8_t *input1,
                      const int8_t *input2, int8_t *output, void *scratch) {
  const position start = {input1, input2, output};
  (void)scratch;
  add_all(params, start, add);
}

void trecx_add_s8_mve_relu(const trecx_add_s8_mve_params *params, const int8_t *input1,
                           const int8_t *input2, int8_t *output, void *scratch) {
  const position start = {input1, input2, output};
  (void)scratch;
  add_all(params, start, add_relu);
}
