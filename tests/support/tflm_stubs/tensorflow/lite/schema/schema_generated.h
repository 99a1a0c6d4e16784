// See micro_interpreter.h.
#ifndef TRECX_TEST_SCHEMA_GENERATED_H
#define TRECX_TEST_SCHEMA_GENERATED_H

namespace tflite {

struct Model;
const Model *GetModel(const void *buf);

}  // namespace tflite

#endif
