# The gateway with its models. For the CPU by default; `--build-arg DEVICE=cuda12` for NVIDIA GPUs on Linux x64.
ARG DEVICE=cpu
# CUDA 12 and cuDNN 9, without the driver, which comes from the host.
ARG CUDA_IMAGE=nvidia/cuda:12.8.1-cudnn-runtime-ubuntu22.04

# Production dependencies, the pinned Node among them; this image's own Node only runs npm.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund
# The library of this platform alone, one copy of Node rather than the two that a hard link becomes between stages, and of the
# plots' library the modules alone, not its bundles for browsers.
RUN cd node_modules && keep=linux/$(node -p process.arch) \
    && cp -r onnxruntime-node/bin/napi-v6/$keep /tmp/library \
    && rm -rf onnxruntime-node/bin/napi-v6/* node/node_modules echarts/dist echarts/types \
    && mkdir -p onnxruntime-node/bin/napi-v6/linux \
    && mv /tmp/library onnxruntime-node/bin/napi-v6/$keep

# The CUDA provider of the same ONNX Runtime version, fetched by the package's own script; without TensorRT's.
FROM dependencies AS dependencies-cuda12
RUN ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install \
    && rm node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_tensorrt.so

FROM debian:bookworm-slim AS cpu
COPY --from=dependencies /app/node_modules /app/node_modules
ENV REALCHAT_DEVICE=cpu

FROM ${CUDA_IMAGE} AS cuda12
COPY --from=dependencies-cuda12 /app/node_modules /app/node_modules
# A provider built for another CUDA is found out here rather than at the first start. The driver is not in the image.
RUN ldd /app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so > /tmp/needs \
    && ! grep 'not found' /tmp/needs | grep -v libcuda.so.1 && rm /tmp/needs

FROM ${DEVICE}
WORKDIR /app
COPY . .
# The only folder the server may write to; mount a volume there to keep it.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin realchat && install -d -o realchat -g realchat data
USER 10001
ENV NODE_ENV=production PATH=/app/node_modules/.bin:$PATH REALCHAT_HOST=0.0.0.0 REALCHAT_PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.REALCHAT_PORT}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=4", "--max-old-space-size=1024", "server/main.ts"]
