/* What a generated test program consists of: see kernel_harness.py. */
#ifndef KERNEL_RUNNER_H
#define KERNEL_RUNNER_H

#include <stdint.h>

#define MAX_BUFFERS 16

/* One case: some kernel calls on a few buffers. The first `inputs` buffers are filled from the
 * input file before each sample; buffer `inputs` is the output. Where overlap_gap >= 0, the output
 * begins that many bytes before buffer `overlap_input`, inside one allocation. */
typedef struct {
  void (*run)(int8_t *const *buffers, void *scratch);
  uint32_t buffers;
  uint32_t inputs;
  uint32_t bytes[MAX_BUFFERS];
  uint32_t scratch_bytes;
  uint32_t samples;
  int32_t overlap_input;
  int32_t overlap_gap;
} kernel_case;

extern const kernel_case kernel_cases[];
extern const uint32_t kernel_case_count;

/* Platform: host (stdio, malloc) or bare metal (semihosting, a static heap). */
void platform_open(void);
void platform_read(void *data, uint32_t bytes);
void platform_write(const void *data, uint32_t bytes);
void platform_exit(int code);
void platform_fail(const char *message, uint32_t case_index);
void *platform_alloc(uint32_t bytes, uint32_t misalign); /* 16-byte aligned, plus misalign */
void platform_free_all(void);
void platform_start_count(void);
uint32_t platform_stop_count(void); /* instructions since start; 0 where not counted */

#endif
