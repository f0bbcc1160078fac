/** Client of fluo-kms for Node: gRPC with certificates, tokens and retries; spans that are signed as they are exported; sealed files. */
export { SealedFileError } from "./node/cobblestone.ts";
export {
  type ByteSource,
  type FileOptions,
  openBytes,
  openFile,
  openStream,
  sealBytes,
  sealFile,
  sealStream,
} from "./node/files.ts";
export { createGrpcKms, type GrpcKms, type GrpcOptions } from "./node/grpc-kms.ts";
export { serviceConfig } from "./node/service-config.ts";
export {
  createSigningExporter,
  type ExporterStats,
  type LossCause,
  type SigningExporter,
  type SigningExporterOptions,
} from "./node/signing-exporter.ts";
export type { ByteSink } from "./node/sink.ts";
export {
  createSpanSigner,
  type Signing,
  type SpanBatch,
  type SpanRefusal,
  type SpanResult,
  type SpanSigner,
  type SpanSignerOptions,
} from "./node/span-signer.ts";
