#define MPS_FPGAIO_BASE 0x59302000u
#define MPS_UART_BASE 0x59303000u
#define MPS_UART_RX_INTERRUPT 33u
#include "../common/mps.h"
