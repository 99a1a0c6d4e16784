/* Arm semihosting: services of the debugger or emulator, asked for by a BKPT instruction. */
#ifndef TRECX_SEMIHOSTING_H
#define TRECX_SEMIHOSTING_H

#include <stdint.h>

enum semihosting_operation {
  SYS_OPEN = 0x01,
  SYS_CLOSE = 0x02,
  SYS_WRITE0 = 0x04,
  SYS_WRITE = 0x05,
  SYS_READ = 0x06,
  SYS_SEEK = 0x0a,
  SYS_GET_CMDLINE = 0x15,
  SYS_EXIT_EXTENDED = 0x20,
};

static inline int32_t semihosting_call(enum semihosting_operation operation, const void *block) {
  register uint32_t r0 __asm__("r0") = (uint32_t)operation;
  register const void *r1 __asm__("r1") = block;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return (int32_t)r0;
}

#endif
