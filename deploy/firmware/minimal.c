/* The smallest useful application: one inference on what lies in the input buffer. Its size is
 * what a model costs in flash, without the test equipment of the batch runner. */
#include "trecx/board.h"
#include "trecx/model.h"

extern const trecx_model TRECX_MODEL;

int trecx_app(void) {
  trecx_result result;
  const int status = TRECX_MODEL.invoke(TRECX_MODEL.input(), &result);
  return status < 0 ? 1 : 0;
}
