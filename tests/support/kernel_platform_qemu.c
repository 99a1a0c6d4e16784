/* Bare metal on QEMU: two-entry vector table, semihosting files, SysTick as instruction counter. */
#include <string.h>

#include "kernel_runner.h"

#define HEAP_BYTES (256 * 1024)

extern uint32_t stack_top[];

static uint8_t heap[HEAP_BYTES] __attribute__((aligned(16)));
static uint32_t heap_used;
static int32_t in, out;

static int32_t semihost(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return (int32_t)r0;
}

static int32_t open_file(const char *name, uint32_t mode) {
  const uint32_t block[3] = {(uint32_t)name, mode, strlen(name)};
  return semihost(0x01, block);
}

void platform_open(void) {
  in = open_file("cases.in", 1);   /* "rb" */
  out = open_file("cases.out", 5); /* "wb" */
  if (in < 0 || out < 0) platform_fail("cannot open the case files", 0);
}

void platform_read(void *data, uint32_t bytes) {
  const uint32_t block[3] = {(uint32_t)in, (uint32_t)data, bytes};
  if (semihost(0x06, block) != 0) platform_fail("input file too short", 0);
}

void platform_write(const void *data, uint32_t bytes) {
  const uint32_t block[3] = {(uint32_t)out, (uint32_t)data, bytes};
  if (semihost(0x05, block) != 0) platform_fail("cannot write", 0);
}

void platform_exit(int code) {
  const uint32_t block[2] = {0x20026, (uint32_t)code}; /* ADP_Stopped_ApplicationExit */
  const uint32_t handle[1] = {(uint32_t)out};
  semihost(0x02, handle);
  semihost(0x20, block);
  for (;;) {
  }
}

void platform_fail(const char *message, uint32_t case_index) {
  char digits[16];
  uint32_t n = sizeof digits - 1;
  digits[n] = '\0';
  digits[--n] = '\n';
  do {
    digits[--n] = (char)('0' + case_index % 10);
    case_index /= 10;
  } while (case_index);
  semihost(0x04, message);
  semihost(0x04, ", case ");
  semihost(0x04, digits + n);
  platform_exit(1);
}

void *platform_alloc(uint32_t bytes, uint32_t misalign) {
  uint8_t *p = heap + heap_used + misalign;
  heap_used += (misalign + bytes + 15u) & ~15u;
  if (heap_used > HEAP_BYTES) platform_fail("heap of the test program too small", 0);
  return p;
}

void platform_free_all(void) {
  heap_used = 0;
}

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

void platform_start_count(void) {
  SYST_RVR = 0xFFFFFFu;
  SYST_CVR = 0;
  SYST_CSR = 5; /* enabled, processor clock, no interrupt */
}

/* With -icount shift=0 an instruction takes one nanosecond of virtual time. */
uint32_t platform_stop_count(void) {
  const uint32_t ticks = 0xFFFFFFu - SYST_CVR;
  SYST_CSR = 0;
  return (uint32_t)((uint64_t)ticks * PICOSECONDS_PER_TICK / 1000u);
}

int main(void);

static void reset(void) {
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: FPU and Helium on */
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  main();
}

static void fault(void) {
  platform_fail("processor fault", 0);
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))stack_top, reset, fault, fault, fault, fault, fault, fault,
};
