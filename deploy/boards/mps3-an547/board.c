#define MPS_FPGAIO_BASE 0x59302000u
#define MPS_UART_BASE 0x59303000u
#define MPS_CLOCK_HZ 32000000u
#define MPS_COUNTER_HZ 20000000u /* the FPGA's I/O block has its own clock here */
#include "../common/mps.h"
