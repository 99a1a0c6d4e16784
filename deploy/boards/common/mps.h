/* What Arm's MPS2 and MPS3 FPGA boards share: the FPGA's I/O block and the CMSDK UART. Each
 * board.c defines MPS_FPGAIO_BASE, MPS_UART_BASE and MPS_UART_RX_INTERRUPT, then includes this
 * file; the BOARD_* rates come from board.json. */
#ifndef TRECX_MPS_H
#define TRECX_MPS_H

#include <stdint.h>

#include "trecx/board.h"
#include "wait.h"

/* FPGA I/O: a free-running 32-bit cycle counter (prescaler 0 at reset: one count a clock). */
#define FPGAIO_COUNTER (*(volatile uint32_t *)(MPS_FPGAIO_BASE + 0x18u))

#define UART_DATA (*(volatile uint32_t *)(MPS_UART_BASE + 0x00u))
#define UART_STATE (*(volatile uint32_t *)(MPS_UART_BASE + 0x04u))
#define UART_CTRL (*(volatile uint32_t *)(MPS_UART_BASE + 0x08u))
#define UART_INTCLEAR (*(volatile uint32_t *)(MPS_UART_BASE + 0x0cu))
#define UART_BAUDDIV (*(volatile uint32_t *)(MPS_UART_BASE + 0x10u))

#define UART_STATE_TX_FULL 1u
#define UART_STATE_RX_FULL 2u
#define UART_CTRL_TX_ENABLE 1u
#define UART_CTRL_RX_ENABLE 2u
#define UART_CTRL_RX_INTERRUPT 8u
#define UART_RX_INTERRUPT 2u
#define UART_SMALLEST_BAUDDIV 16u

const uint32_t board_counter_hz = BOARD_COUNTER_HZ;

uint32_t board_counter(void) {
  return FPGAIO_COUNTER;
}

void board_uart_open(uint32_t baud) {
  const uint32_t divider = BOARD_CLOCK_HZ / baud;
  UART_BAUDDIV = divider < UART_SMALLEST_BAUDDIV ? UART_SMALLEST_BAUDDIV : divider;
  UART_CTRL = UART_CTRL_TX_ENABLE | UART_CTRL_RX_ENABLE | UART_CTRL_RX_INTERRUPT;
  wake_on_interrupt(MPS_UART_RX_INTERRUPT);
}

int board_uart_read(void) {
  return UART_STATE & UART_STATE_RX_FULL ? (int)(UART_DATA & 0xffu) : -1;
}

void board_uart_wait(void) {
  UART_INTCLEAR = UART_RX_INTERRUPT;
  forget_interrupt(MPS_UART_RX_INTERRUPT);
  if (!(UART_STATE & UART_STATE_RX_FULL)) wait_for_interrupt();
}

void board_uart_write(uint8_t byte) {
  while (UART_STATE & UART_STATE_TX_FULL) {
  }
  UART_DATA = byte;
}

#endif
