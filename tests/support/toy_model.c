/* A model small enough to check by hand, with every way to go wrong that the runner must report.
 *
 * Input: 8 bytes. Exit 0 gives input[0..3] and is taken when input[0] > 0; the full network gives
 * each of input[0..3] plus input[4..7], saturated. input[7] asks for misbehaviour. */
#include <stddef.h>
#include <string.h>

#include "trecx/model.h"

#define INPUTS 8
#define OUTPUTS 4
#define ARENA_BYTES 64

enum misbehaviour {
  UNDEFINED_INSTRUCTION = 101,
  WILD_READ = 102,
  ENDLESS_LOOP = 103,
  STACK_OVERFLOW = 104,
  ARENA_OVERFLOW = 105,
  NEGATIVE_STATUS = 106,
  WRITE_TO_FLASH = 107,
};

/* Where no board has memory and nothing answers: differs between the boards' memory maps. */
#if defined(__ARM_FEATURE_MVE)
#define UNMAPPED 0x1e000000u
#else
#define UNMAPPED 0xa8000000u
#endif

static uint8_t arena[ARENA_BYTES + 2 * TRECX_CANARY_BYTES] __attribute__((aligned(16)));
static volatile int sink;

static int8_t *toy_input(void) {
  return (int8_t *)arena + TRECX_CANARY_BYTES;
}

/* One page of stack a call, used after the call so that it is no tail call. */
__attribute__((noinline)) int toy_recurse(int depth) {
  volatile char page[512];
  page[0] = (char)depth;
  return depth > 1000000 ? 0 : toy_recurse(depth + 1) + page[0];
}

__attribute__((noinline)) int toy_loop_forever(void) {
  while (sink >= 0) {
  }
  return 0;
}

static int misbehave(int how) {
  switch (how) {
#if defined(__arm__)
    case UNDEFINED_INSTRUCTION:
      __asm__ volatile("udf #7");
      return 0;
    case WILD_READ:
      return (int)*(volatile uint32_t *)UNMAPPED;
    case WRITE_TO_FLASH:
      *(volatile uint32_t *)(uintptr_t)&toy_input = 0;
      return 0;
#endif
    case ENDLESS_LOOP:
      return toy_loop_forever();
    case STACK_OVERFLOW:
      return toy_recurse(1);
    case ARENA_OVERFLOW:
      arena[TRECX_CANARY_BYTES + ARENA_BYTES + 3] = 1;
      return 0;
    case NEGATIVE_STATUS:
      return TRECX_ERR_ORDER;
    default:
      return 0;
  }
}

static __attribute__((noinline)) void toy_s0_00_exit(void) {
  memcpy(toy_input() + 16, toy_input(), OUTPUTS);
}

static __attribute__((noinline)) void toy_s1_01_add(void) {
  int8_t *const x = toy_input();
  for (int i = 0; i < OUTPUTS; i++) {
    int sum = x[i] + x[4 + i];
    if (sum > 127) sum = 127;
    if (sum < -128) sum = -128;
    x[16 + i] = (int8_t)sum;
  }
}

static void argmax(trecx_result *result, int exit_index) {
  result->output = toy_input() + 16;
  result->exit_index = exit_index;
  result->class_index = 0;
  for (int i = 1; i < OUTPUTS; i++) {
    if (result->output[i] > result->output[result->class_index]) result->class_index = i;
  }
}

static int toy_segment(uint32_t k, const int8_t *input, trecx_result *result) {
  if (k == 0) {
    if (input != toy_input()) memcpy(toy_input(), input, INPUTS);
    toy_s0_00_exit();
    argmax(result, 0);
    return toy_input()[0] > 0;
  }
  toy_s1_01_add();
  argmax(result, 1);
  return 1;
}

static int toy_invoke(const int8_t *input, trecx_result *result) {
  const int status = misbehave(input[7]);
  if (status < 0) return status;
  if (toy_segment(0, input, result)) return TRECX_OK;
  toy_segment(1, NULL, result);
  return TRECX_OK;
}

const trecx_model toy_model = {
    .name = "toy",
    .bundle_sha256 = "0000",
    .input_bytes = INPUTS,
    .output_count = OUTPUTS,
    .segment_count = 2,
    .arena_bytes = ARENA_BYTES,
    .guarded_arena = arena,
    .input = toy_input,
    .invoke = toy_invoke,
    .run_segment = toy_segment,
};
