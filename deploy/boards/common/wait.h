/* Sleeping until an interrupt is pending, without ever taking it: there are no handlers. */
#ifndef TRECX_WAIT_H
#define TRECX_WAIT_H

#include <stdint.h>

#define NVIC_ENABLE ((volatile uint32_t *)0xe000e100u)
#define NVIC_CLEAR_PENDING ((volatile uint32_t *)0xe000e280u)

/* With PRIMASK set, a pending interrupt ends WFI but does not run. */
static inline void wake_on_interrupt(uint32_t number) {
  __asm__ volatile("cpsid i" ::: "memory");
  NVIC_ENABLE[number / 32] = 1u << number % 32;
}

static inline void forget_interrupt(uint32_t number) {
  NVIC_CLEAR_PENDING[number / 32] = 1u << number % 32;
}

/* Returns at once when an interrupt came since it was forgotten. */
static inline void wait_for_interrupt(void) {
  __asm__ volatile("dsb\n wfi" ::: "memory");
}

#endif
