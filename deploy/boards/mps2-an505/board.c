#define MPS_FPGAIO_BASE 0x50302000u
#define MPS_UART_BASE 0x50200000u
#define MPS_CLOCK_HZ 20000000u
#define MPS_COUNTER_HZ 20000000u
#include "../common/mps.h"
