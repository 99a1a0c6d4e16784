#define MPS_FPGAIO_BASE 0x50302000u
#define MPS_UART_BASE 0x50200000u
#define MPS_UART_RX_INTERRUPT 32u
#include "../common/mps.h"
