/* Runs every case on every sample; writes outputs, then one instruction count for each case. */
#include "kernel_runner.h"

#include <string.h>

#define GUARD_BYTES 32
#define GUARD_VALUE 0x3C

typedef struct {
  int8_t *data;
  uint32_t bytes;
} block;

static block guarded[MAX_BUFFERS + 1];
static uint32_t guarded_count;

/* The bytes after a block must stay as they are: on bare metal no sanitizer watches. */
static int8_t *guarded_alloc(uint32_t bytes, uint32_t misalign) {
#ifdef KERNEL_RUNNER_SANITIZED
  return platform_alloc(bytes, misalign);
#else
  uint8_t *start = platform_alloc(bytes + 2 * GUARD_BYTES, misalign);
  memset(start, GUARD_VALUE, bytes + 2 * GUARD_BYTES);
  block *b = &guarded[guarded_count++];
  b->data = (int8_t *)start + GUARD_BYTES;
  b->bytes = bytes;
  return b->data;
#endif
}

static void check_guards(uint32_t case_index) {
  for (uint32_t i = 0; i < guarded_count; i++) {
    for (uint32_t k = 0; k < GUARD_BYTES; k++) {
      if (guarded[i].data[-1 - (int32_t)k] != GUARD_VALUE) {
        platform_fail("a kernel wrote before a buffer", case_index);
      }
      if (guarded[i].data[guarded[i].bytes + k] != GUARD_VALUE) {
        platform_fail("a kernel wrote behind a buffer", case_index);
      }
    }
  }
}

static void allocate(const kernel_case *c, int8_t **buffers) {
  const uint32_t out = c->inputs;
  guarded_count = 0;
  for (uint32_t i = 0; i < c->buffers; i++) buffers[i] = 0;
  if (c->overlap_gap >= 0) {
    const uint32_t in = (uint32_t)c->overlap_input;
    const uint32_t behind = (uint32_t)c->overlap_gap + c->bytes[in];
    buffers[out] = guarded_alloc(behind > c->bytes[out] ? behind : c->bytes[out], 0);
    buffers[in] = buffers[out] + c->overlap_gap;
  }
  for (uint32_t i = 0; i < c->buffers; i++) {
    if (buffers[i] == 0) buffers[i] = guarded_alloc(c->bytes[i], 0);
  }
}

static uint32_t run_case(const kernel_case *c, uint32_t index) {
  int8_t *buffers[MAX_BUFFERS];
  uint32_t count = 0;
  allocate(c, buffers);
  void *scratch = c->scratch_bytes ? guarded_alloc(c->scratch_bytes, 8) : 0;
  for (uint32_t s = 0; s < c->samples; s++) {
    for (uint32_t i = c->inputs; i < c->buffers; i++) {
      memset(buffers[i], (int)(0xA5 ^ s), c->bytes[i]);
    }
    if (scratch) memset(scratch, (int)(0x5A ^ s), c->scratch_bytes);
    for (uint32_t i = 0; i < c->inputs; i++) platform_read(buffers[i], c->bytes[i]);
    platform_start_count();
    c->run(buffers, scratch);
    count = platform_stop_count();
    check_guards(index);
    platform_write(buffers[c->inputs], c->bytes[c->inputs]);
  }
  platform_free_all();
  return count;
}

int main(void) {
  platform_open();
  for (uint32_t i = 0; i < kernel_case_count; i++) {
    const uint32_t count = run_case(&kernel_cases[i], i);
    platform_write(&count, sizeof count);
  }
  platform_exit(0);
  return 0;
}
