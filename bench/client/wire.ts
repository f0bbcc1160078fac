/** Bytes to bytes for grpc-js: nothing is encoded or decoded. */
import * as grpc from "@grpc/grpc-js";
import type { Credentials } from "./load.ts";

/** What clients in Go and Java come to by themselves on a fast line; grpc-js stays at 64 KiB, of which each MiB costs both sides sixteen rounds. */
export const windowBytes = 4 * 1024 * 1024;

export function connect(port: number, credentials?: Credentials): grpc.Client {
  const channel = credentials === undefined ? grpc.credentials.createInsecure() : overTls(credentials);
  return new grpc.Client(`127.0.0.1:${port}`, channel, {
    "grpc.max_receive_message_length": -1,
    "grpc.use_local_subchannel_pool": 1,
    "grpc-node.flow_control_window": windowBytes,
    ...(credentials && { "grpc.ssl_target_name_override": "localhost" }),
  });
}

function overTls({ ca, certificate }: Credentials): grpc.ChannelCredentials {
  const [key, chain] = certificate ? [Buffer.from(certificate.key), Buffer.from(certificate.chain)] : [null, null];
  return grpc.credentials.createSsl(Buffer.from(ca), key, chain);
}

/** What is sent with each call. */
export function metadataOf(credentials?: Credentials): grpc.Metadata {
  const metadata = new grpc.Metadata();
  if (credentials?.authorization !== undefined) metadata.set("authorization", credentials.authorization);
  return metadata;
}

export function serialize(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function deserialize(bytes: Buffer): Buffer {
  return bytes;
}
