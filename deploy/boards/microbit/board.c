/* BBC micro:bit: nRF51822. TIMER0 is the counter: 16 MHz, 32 bits wide. */
#include "trecx/board.h"

#include "../common/wait.h"

#define TIMER0_BASE 0x40008000u
#define TIMER0_TASKS_START (*(volatile uint32_t *)(TIMER0_BASE + 0x000u))
#define TIMER0_TASKS_CAPTURE0 (*(volatile uint32_t *)(TIMER0_BASE + 0x040u))
#define TIMER0_BITMODE (*(volatile uint32_t *)(TIMER0_BASE + 0x508u))
#define TIMER0_PRESCALER (*(volatile uint32_t *)(TIMER0_BASE + 0x510u))
#define TIMER0_CC0 (*(volatile uint32_t *)(TIMER0_BASE + 0x540u))
#define BITMODE_32 3u

#define UART_BASE 0x40002000u
#define UART_TASKS_STARTRX (*(volatile uint32_t *)(UART_BASE + 0x000u))
#define UART_TASKS_STARTTX (*(volatile uint32_t *)(UART_BASE + 0x008u))
#define UART_EVENTS_RXDRDY (*(volatile uint32_t *)(UART_BASE + 0x108u))
#define UART_EVENTS_TXDRDY (*(volatile uint32_t *)(UART_BASE + 0x11cu))
#define UART_ENABLE (*(volatile uint32_t *)(UART_BASE + 0x500u))
#define UART_RXD (*(volatile uint32_t *)(UART_BASE + 0x518u))
#define UART_TXD (*(volatile uint32_t *)(UART_BASE + 0x51cu))
#define UART_BAUDRATE (*(volatile uint32_t *)(UART_BASE + 0x524u))
#define UART_INTENSET (*(volatile uint32_t *)(UART_BASE + 0x304u))
#define UART_ENABLED 4u
#define UART_RXDRDY_BIT (1u << 2)
#define UART_INTERRUPT 2u

const uint32_t board_counter_hz = BOARD_COUNTER_HZ;

static int timer_is_running;

uint32_t board_counter(void) {
  if (!timer_is_running) {
    TIMER0_BITMODE = BITMODE_32;
    TIMER0_PRESCALER = 0;
    TIMER0_TASKS_START = 1;
    timer_is_running = 1;
  }
  TIMER0_TASKS_CAPTURE0 = 1;
  return TIMER0_CC0;
}

void board_uart_open(uint32_t baud) {
  /* The register holds the rate times 2^32 / 16 MHz, in steps of 2^12. */
  UART_BAUDRATE = (uint32_t)(((uint64_t)baud << 32) / BOARD_CLOCK_HZ + 0x800u) & 0xfffff000u;
  UART_ENABLE = UART_ENABLED;
  UART_TASKS_STARTRX = 1;
  UART_TASKS_STARTTX = 1;
  UART_INTENSET = UART_RXDRDY_BIT;
  wake_on_interrupt(UART_INTERRUPT);
}

int board_uart_read(void) {
  if (!UART_EVENTS_RXDRDY) return -1;
  UART_EVENTS_RXDRDY = 0;
  return (int)(UART_RXD & 0xffu);
}

void board_uart_wait(void) {
  forget_interrupt(UART_INTERRUPT);
  if (!UART_EVENTS_RXDRDY) wait_for_interrupt();
}

void board_uart_write(uint8_t byte) {
  UART_EVENTS_TXDRDY = 0;
  UART_TXD = byte;
  while (!UART_EVENTS_TXDRDY) {
  }
}
