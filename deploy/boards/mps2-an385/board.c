#define MPS_FPGAIO_BASE 0x40028000u
#define MPS_UART_BASE 0x40004000u
#define MPS_CLOCK_HZ 25000000u
#define MPS_COUNTER_HZ 25000000u
#include "../common/mps.h"
