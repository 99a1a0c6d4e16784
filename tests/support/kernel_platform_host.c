#define _POSIX_C_SOURCE 200112L /* posix_memalign */

#include <stdio.h>
#include <stdlib.h>

#include "kernel_runner.h"

#define MAX_BLOCKS 64

static FILE *in, *out;
static void *blocks[MAX_BLOCKS];
static int block_count;

void platform_open(void) {
  in = fopen("cases.in", "rb");
  out = fopen("cases.out", "wb");
  if (!in || !out) platform_fail("cannot open the case files", 0);
}

void platform_read(void *data, uint32_t bytes) {
  if (fread(data, 1, bytes, in) != bytes) platform_fail("input file too short", 0);
}

void platform_write(const void *data, uint32_t bytes) {
  if (fwrite(data, 1, bytes, out) != bytes) platform_fail("cannot write", 0);
}

void platform_exit(int code) {
  fclose(in);
  fclose(out);
  exit(code);
}

void platform_fail(const char *message, uint32_t case_index) {
  fprintf(stderr, "case %u: %s\n", (unsigned)case_index, message);
  exit(1);
}

void *platform_alloc(uint32_t bytes, uint32_t misalign) {
  void *p;
  if (block_count == MAX_BLOCKS || posix_memalign(&p, 16, (size_t)bytes + misalign)) abort();
  blocks[block_count++] = p;
  return (uint8_t *)p + misalign;
}

void platform_free_all(void) {
  while (block_count) free(blocks[--block_count]);
}

void platform_start_count(void) {}

uint32_t platform_stop_count(void) {
  return 0;
}
