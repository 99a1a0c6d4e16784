// The part of TensorFlow Lite Micro's interface that generated examples use, for checking that they
// compile. Declarations only.
#ifndef TRECX_TEST_MICRO_INTERPRETER_H
#define TRECX_TEST_MICRO_INTERPRETER_H

#include <cstddef>
#include <cstdint>

typedef enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 } TfLiteStatus;

typedef union TfLitePtrUnion {
  int32_t *i32;
  int8_t *int8;
} TfLitePtrUnion;

typedef struct TfLiteTensor {
  TfLitePtrUnion data;
  size_t bytes;
} TfLiteTensor;

#define TF_LITE_ENSURE_STATUS(a)  \
  do {                            \
    const TfLiteStatus s = (a);   \
    if (s != kTfLiteOk) return s; \
  } while (0)

namespace tflite {

struct Model;

class MicroOpResolver {};

class MicroInterpreter {
 public:
  MicroInterpreter(const Model *model, const MicroOpResolver &op_resolver, uint8_t *tensor_arena,
                   size_t tensor_arena_size);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor *input(size_t index);
  TfLiteTensor *output(size_t index);
};

}  // namespace tflite

#endif
