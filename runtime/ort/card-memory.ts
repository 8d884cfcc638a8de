// Asks the NVIDIA driver how much of the first card's memory is free; ONNX Runtime's C interface does not say. It knows no provider.
import { loadLibrary } from "./native-library.ts";

/** Bytes that may still be taken on card 0; null where the driver does not say. */
export function freeCardBytes(): number | null {
  try {
    const driver = loadLibrary("libcuda.so.1");
    const call = (name: string, signature: string, ...values: unknown[]) => {
      const status = driver.func(`int ${name}(${signature})`)(...values) as number;
      if (status !== 0) throw new Error(`${name} gave ${status}`);
    };
    const [device, context, free, total] = [[0], [null], [0], [0]];
    call("cuInit", "uint", 0);
    call("cuDeviceGet", "_Out_ int *, int", device, 0);
    // The context that the CUDA runtime uses as well: one more would take memory of its own.
    call("cuDevicePrimaryCtxRetain", "_Out_ void **, int", context, device[0]);
    try {
      call("cuCtxPushCurrent_v2", "void *", context[0]);
      call("cuMemGetInfo_v2", "_Out_ size_t *, _Out_ size_t *", free, total);
      call("cuCtxPopCurrent_v2", "_Out_ void **", [null]);
    } finally {
      call("cuDevicePrimaryCtxRelease_v2", "int", device[0]);
    }
    return Number(free[0]);
  } catch {
    return null;
  }
}
