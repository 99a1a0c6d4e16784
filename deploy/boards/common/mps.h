/* What Arm's MPS2 and MPS3 FPGA boards share: the FPGA's I/O block and the CMSDK UART. Each
 * board.c defines MPS_FPGAIO_BASE, MPS_UART_BASE, MPS_CLOCK_HZ (of the UART) and
 * MPS_COUNTER_HZ, then includes this file. */
#ifndef TRECX_MPS_H
#define TRECX_MPS_H

#include <stdint.h>

#include "trecx/board.h"

/* FPGA I/O: a free-running 32-bit cycle counter (prescaler 0 at reset: one count a clock). */
#define FPGAIO_COUNTER (*(volatile uint32_t *)(MPS_FPGAIO_BASE + 0x18u))

#define UART_DATA (*(volatile uint32_t *)(MPS_UART_BASE + 0x00u))
#define UART_STATE (*(volatile uint32_t *)(MPS_UART_BASE + 0x04u))
#define UART_CTRL (*(volatile uint32_t *)(MPS_UART_BASE + 0x08u))
#define UART_BAUDDIV (*(volatile uint32_t *)(MPS_UART_BASE + 0x10u))

#define UART_STATE_TX_FULL 1u
#define UART_STATE_RX_FULL 2u
#define UART_CTRL_TX_ENABLE 1u
#define UART_CTRL_RX_ENABLE 2u
#define UART_SMALLEST_BAUDDIV 16u

const uint32_t board_counter_hz = MPS_COUNTER_HZ;

uint32_t board_counter(void) {
  return FPGAIO_COUNTER;
}

void board_uart_open(uint32_t baud) {
  const uint32_t divider = MPS_CLOCK_HZ / baud;
  UART_BAUDDIV = divider < UART_SMALLEST_BAUDDIV ? UART_SMALLEST_BAUDDIV : divider;
  UART_CTRL = UART_CTRL_TX_ENABLE | UART_CTRL_RX_ENABLE;
}

int board_uart_read(void) {
  return UART_STATE & UART_STATE_RX_FULL ? (int)(UART_DATA & 0xffu) : -1;
}

void board_uart_write(uint8_t byte) {
  while (UART_STATE & UART_STATE_TX_FULL) {
  }
  UART_DATA = byte;
}

#endif
