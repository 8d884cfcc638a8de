// Owns copies between tensors of one device: an Identity graph with bound input and output, since the C API offers no
// plain copy for built-in providers. It does not know what is copied.
import { GraphBuilder } from "../onnx/graph-builder.ts";
import type { Device } from "../ort/device.ts";
import type { Environment } from "../ort/environment.ts";
import { openSession } from "../ort/session.ts";
import type { ElementType, Tensor } from "../ort/tensor.ts";

export interface Copier {
  /** Copies all of `from` over `to`; equal shapes, no overlap. Host tensors may stand on either side. */
  copy(from: Tensor, to: Tensor): Promise<void>;
  release(): void;
}

export async function openCopier(environment: Environment, device: Device, element: ElementType): Promise<Copier> {
  const graph = new GraphBuilder("copy");
  const shape = ["a", "b", "c", "d"];
  graph.output("to", graph.op("Identity", [graph.input("from", element, shape)]), element, shape);
  const session = await openSession(environment, device, { bytes: graph.toBytes() });
  const binding = session.createBinding();
  return {
    async copy(from, to) {
      binding.input("from", from);
      binding.output("to", to);
      await session.run(binding);
    },
    release() {
      binding.release();
      session.release();
    },
  };
}
