"""Run compiled models: boards, toolchain, QEMU, batches, profiler, cycle model, MLPerf Tiny device.

boards, presets: what there is. build: from C to firmware. batch: many samples, exact instruction
counts. profiler, cycles: where instructions go, and estimated time on a real board. mlperf_dut,
mlperf_host: the benchmark's device and its host side. export: packages for other build systems.
doctor: is everything installed.
"""
