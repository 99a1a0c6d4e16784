/* Start-up of every Cortex-M board: vector table, memory, coprocessors, stack paint, faults. */
#include <stdint.h>
#include <string.h>

#include "trecx/board.h"

extern uint32_t board_stack_bottom[], board_stack_top[], board_emergency_top[];
extern uint32_t board_data_start[], board_data_end[], board_data_load[];
extern uint32_t board_bss_start[], board_bss_end[];
extern uint8_t board_flash_start[], board_flash_end[], board_text_end[];

void board_reset(void) __attribute__((noreturn));
void board_fault(void) __attribute__((noreturn, naked));

/* Core exceptions only: no application uses interrupts. Every exception but reset is a fault. */
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    board_stack_top,           (const void *)board_reset, (const void *)board_fault,
    (const void *)board_fault, (const void *)board_fault, (const void *)board_fault,
    (const void *)board_fault, (const void *)board_fault, (const void *)board_fault,
    (const void *)board_fault, (const void *)board_fault, (const void *)board_fault,
    (const void *)board_fault, (const void *)board_fault, (const void *)board_fault,
    (const void *)board_fault,
};

#define STACK_PAINT 0xa5c3e18fu

#define SCB_CCR (*(volatile uint32_t *)0xe000ed14u)
#define SCB_SHCSR (*(volatile uint32_t *)0xe000ed24u)
#define SCB_CFSR (*(volatile uint32_t *)0xe000ed28u)
#define SCB_HFSR (*(volatile uint32_t *)0xe000ed2cu)
#define SCB_MMFAR (*(volatile uint32_t *)0xe000ed34u)
#define SCB_BFAR (*(volatile uint32_t *)0xe000ed38u)
#define SCB_CPACR (*(volatile uint32_t *)0xe000ed88u)
#define MPU_TYPE (*(volatile uint32_t *)0xe000ed90u)
#define MPU_CTRL (*(volatile uint32_t *)0xe000ed94u)
#define MPU_RNR (*(volatile uint32_t *)0xe000ed98u)
#define MPU_RBAR (*(volatile uint32_t *)0xe000ed9cu)
#define MPU_RASR (*(volatile uint32_t *)0xe000eda0u) /* Armv7-M */
#define MPU_RLAR (*(volatile uint32_t *)0xe000eda0u) /* Armv8-M */
#define SAU_SFSR (*(volatile uint32_t *)0xe000ede4u)
#define SAU_SFAR (*(volatile uint32_t *)0xe000ede8u)

#define CCR_DIV_0_TRP (1u << 4)
#define CCR_LOB (1u << 19)
#define SHCSR_FAULTS_ENABLE (7u << 16) /* memory management, bus and usage faults */
#define MPU_ENABLE_WITH_DEFAULT_MAP 5u

#define CFSR_MMARVALID (1u << 7)
#define CFSR_STACKING_MEMORY (1u << 4)
#define CFSR_STACKING_BUS (1u << 12)
#define CFSR_BFARVALID (1u << 15)
#define CFSR_STACK_LIMIT (1u << 20) /* STKOF, Armv8-M */
#define SFSR_SFARVALID (1u << 6)

/* Armv6-M and Armv8-M Baseline have no fault status registers (but code for them may run on a
 * larger core, which has). */
#if (defined(__ARM_ARCH_6M__) && !defined(BOARD_RUNS_ON_ARMV7M)) || defined(__ARM_ARCH_8M_BASE__)
#define IS_BASELINE 1
#else
#define IS_BASELINE 0
#endif
#define IS_V8_MAIN (__ARM_ARCH >= 8 && !IS_BASELINE)

static void start_coprocessors(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  SCB_CPACR |= 0xfu << 20; /* full access to CP10 and CP11: floating point and Helium */
#endif
#if defined(__ARM_FEATURE_MVE)
  SCB_CCR |= CCR_LOB; /* let LE keep its loop state: the fast path on silicon */
#endif
  __asm__ volatile("dsb\n isb" ::: "memory");
}

#if IS_V8_MAIN
static void protect_memory(void) {
  /* Flash: read-only at any privilege, executable; attributes 0 (device) do not matter here, so
   * take the normal, non-cacheable ones of MAIR 0. */
  *(volatile uint32_t *)0xe000edc0u = 0x44u;
  MPU_RNR = 0;
  MPU_RBAR = (uint32_t)(uintptr_t)board_flash_start | 3u << 1;
  MPU_RLAR = (((uint32_t)(uintptr_t)board_flash_end - 32u) & ~31u) | 1u;
  MPU_CTRL = MPU_ENABLE_WITH_DEFAULT_MAP;
}
#elif !IS_BASELINE
/* Region attributes of Armv7-M: the size is 2^(field + 1) bytes. */
#define RASR_SIZE_OF(log2_bytes) (((uint32_t)(log2_bytes) - 1u) << 1)
#define RASR_NO_ACCESS (1u << 28)
#define RASR_READ_ONLY (6u << 24)
#define RASR_NORMAL_MEMORY (1u << 19)

static void set_region(uint32_t number, uint32_t base, uint32_t attributes) {
  MPU_RNR = number;
  MPU_RBAR = base;
  MPU_RASR = attributes | 1u;
}

static void protect_memory(void) {
  const uint32_t flash_bytes = (uint32_t)(board_flash_end - board_flash_start);
  const uint32_t log2_flash = 31u - (uint32_t)__builtin_clz(flash_bytes);
  /* The megabyte below the stack: larger than any frame, so that no overflow jumps over it. */
  set_region(0, (uint32_t)(uintptr_t)board_stack_bottom - (1u << 20),
             RASR_NO_ACCESS | RASR_SIZE_OF(20));
  set_region(1, (uint32_t)(uintptr_t)board_flash_start,
             RASR_READ_ONLY | RASR_NORMAL_MEMORY | RASR_SIZE_OF(log2_flash));
  MPU_CTRL = MPU_ENABLE_WITH_DEFAULT_MAP;
}
#endif

/* Writes to flash, accesses below the stack and divisions by zero become faults: an emulator's
 * "flash" is RAM, and unused addresses may read as zero. */
static void trap_mistakes(void) {
#if !IS_BASELINE
  SCB_SHCSR |= SHCSR_FAULTS_ENABLE;
  SCB_CCR |= CCR_DIV_0_TRP;
  if (MPU_TYPE & 0xff00u) protect_memory();
#endif
#if IS_V8_MAIN
  __asm__ volatile("msr msplim, %0" ::"r"(board_stack_bottom));
#endif
  __asm__ volatile("dsb\n isb" ::: "memory");
}

/* Runs on the painted stack: leave out the part that is in use. */
static void paint_stack(void) {
  uint32_t *const end = (uint32_t *)__builtin_frame_address(0) - 16;
  for (volatile uint32_t *p = board_stack_bottom; p < end; p++) *p = STACK_PAINT;
}

void board_reset(void) {
  trap_mistakes();
  start_coprocessors();
  paint_stack();
  memcpy(board_data_start, board_data_load,
         (uintptr_t)board_data_end - (uintptr_t)board_data_start);
  memset(board_bss_start, 0, (uintptr_t)board_bss_end - (uintptr_t)board_bss_start);
  board_exit(trecx_app());
}

uint32_t board_stack_size(void) {
  return (uint32_t)((uintptr_t)board_stack_top - (uintptr_t)board_stack_bottom);
}

uint32_t board_stack_used(void) {
  const uint32_t *p = board_stack_bottom;
  while (p < board_stack_top && *p == STACK_PAINT) p++;
  return (uint32_t)((uintptr_t)board_stack_top - (uintptr_t)p);
}

/* --- Faults -------------------------------------------------------------------------------- */

static void put_hex(const char *name, uint32_t value) {
  char text[9];
  for (int i = 0; i < 8; i++) {
    text[i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 15u];
  }
  text[8] = '\0';
  board_print(" ");
  board_print(name);
  board_print("=");
  board_print(text);
}

static int is_stack(uint32_t address) {
  return address >= (uintptr_t)board_stack_bottom && address <= (uintptr_t)board_stack_top;
}

/* The first return address that the stack holds from its bottom on: when it has overflowed, there
 * is no saved pc, but this is a call close to the place. 0 when there is none. */
static uint32_t last_call(void) {
  for (const uint32_t *p = board_stack_bottom; p < board_stack_top; p++) {
    const int is_thumb = (*p & 1u) != 0;
    if (is_thumb && *p > (uintptr_t)board_flash_start && *p < (uintptr_t)board_text_end) return *p;
  }
  return 0;
}

/* registers: r4 to r11 as they were at the fault. frame: the processor's stack frame (r0 to r3,
 * r12, lr, pc, xpsr). One line of name=value for the host, then the exit code. */
__attribute__((noreturn, used)) void board_report_fault(const uint32_t *registers,
                                                        const uint32_t *frame,
                                                        uint32_t exception_return) {
  static const char *const high[8] = {"r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11"};
  static const char *const low[8] = {"r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr"};
  uint32_t exception;
  int overflow = !is_stack((uint32_t)frame) || !is_stack((uint32_t)(frame + 8));

  __asm__ volatile("mrs %0, ipsr" : "=r"(exception));
  board_print("trecx-fault:");
  put_hex("exception", exception);
#if !IS_BASELINE
  const uint32_t cfsr = SCB_CFSR;
  put_hex("cfsr", cfsr);
  put_hex("hfsr", SCB_HFSR);
  if (cfsr & CFSR_BFARVALID) put_hex("address", SCB_BFAR);
  if (cfsr & CFSR_MMARVALID) put_hex("address", SCB_MMFAR);
  overflow |= (cfsr & (CFSR_STACKING_MEMORY | CFSR_STACKING_BUS | CFSR_STACK_LIMIT)) != 0;
#endif
#if IS_V8_MAIN
  put_hex("sfsr", SAU_SFSR);
  if (SAU_SFSR & SFSR_SFARVALID) put_hex("address", SAU_SFAR);
#endif
  put_hex("sp", (uint32_t)frame);
  put_hex("stack_bottom", (uint32_t)(uintptr_t)board_stack_bottom);
  put_hex("exc_return", exception_return);
  for (int i = 0; i < 8; i++) put_hex(high[i], registers[i]);
  if (is_stack((uint32_t)frame)) {
    for (int i = 0; i < 8; i++) put_hex(low[i], frame[i]);
  } else {
    put_hex("call", last_call());
  }
  board_print("\n");
  board_exit(overflow ? BOARD_EXIT_STACK : BOARD_EXIT_FAULT);
}

/* The stack may be the reason for the fault: move to the emergency stack before any C code. */
void board_fault(void) {
  __asm__ volatile(
      "mrs r1, msp          \n"
      "mov r2, lr           \n"
      "ldr r0, =board_emergency_top \n"
#if IS_V8_MAIN
      "movs r3, #0          \n"
      "msr msplim, r3       \n"
#endif
      "mov sp, r0           \n"
      "mov r3, r11          \n"
      "push {r3}            \n"
      "mov r3, r10          \n"
      "push {r3}            \n"
      "mov r3, r9           \n"
      "push {r3}            \n"
      "mov r3, r8           \n"
      "push {r3}            \n"
      "push {r4-r7}         \n"
      "mov r0, sp           \n"
      "ldr r3, =board_report_fault \n"
      "bx r3                \n");
}
