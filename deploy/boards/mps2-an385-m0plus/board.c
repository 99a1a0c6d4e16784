#define MPS_FPGAIO_BASE 0x40028000u
#define MPS_UART_BASE 0x40004000u
#define MPS_UART_RX_INTERRUPT 0u
#include "../common/mps.h"
