/** The service by gRPC, in Node: TLS with certificates of both sides, tokens, retries by gRPC's service config. */
import { setMaxListeners } from "node:events";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import type { Interceptor } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { defaultTimeoutMs, type Kms, kmsOver } from "../kms.ts";
import { requireSafe, type TokenSource } from "../token.ts";
import { type GrpcChannel, grpcChannel, grpcTransport } from "./grpc-transport.ts";
import { channelOptions } from "./service-config.ts";

export interface GrpcOptions {
  /** `host:port` of the service's gRPC listener. */
  target: string;
  /** Without TLS. */
  insecure?: boolean;
  /** PEM file of the authorities that may have signed the service's certificate, in place of the system's. */
  caFile?: string;
  /** PEM file of this client's certificate with its chain. The files are read once: open anew where they change. */
  certificateFile?: string;
  /** PEM file of its private key. */
  keyFile?: string;
  /** Asked at each call. Refused without TLS unless the host is loopback. */
  token?: TokenSource;
  /** Deadline of unary calls that have none of their own, in milliseconds; 10,000 by default. Streams have none. */
  timeoutMs?: number;
  /** Called around each call, outermost first; not around the streams of a span signer or exporter. */
  interceptors?: readonly Interceptor[];
  /** Options of grpc-js that win over those of this package, such as its own interceptors or a proxy. */
  channelOptions?: grpc.ChannelOptions;
}

/** The service over one channel, which connects with the first call. */
export interface GrpcKms extends Kms, Disposable {
  /** What the span signer opens its streams on. */
  readonly channel: GrpcChannel;
  /** Closes the channel. Calls that are under way end. So does `using`, or `await using`, at the end of its block. */
  close(): void;
}

/** Throws where a file cannot be read, and for cleartext that was not asked for or would show a token. */
export function createGrpcKms(options: GrpcOptions): GrpcKms {
  const { target, insecure = false, token, timeoutMs = defaultTimeoutMs } = options;
  const host = target
    .replace(/^dns:(\/\/\/)?/, "")
    .replace(/:\d+$/, "")
    .replace(/^\[(.*)\]$/, "$1");
  requireSafe(host, { isTls: !insecure, insecure, token });
  const credentials = insecure ? grpc.credentials.createInsecure() : tlsCredentials(host, options);
  const client = new grpc.Client(target, credentials, {
    ...channelOptions,
    ...(!insecure && isIP(host) > 0 ? namelessServer : {}),
    ...options.channelOptions,
  });
  const baseUrl = `${insecure ? "http" : "https"}://${target.replace(/^dns:(\/\/\/)?/, "")}`;
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // one for each stream of a signer
  const channel = grpcChannel(client, { baseUrl, timeoutMs, token, closed: closing.signal });
  const close = () => {
    closing.abort();
    client.close();
  };
  return { ...kmsOver(grpcTransport(channel, options.interceptors)), channel, close, [Symbol.dispose]: close };
}

/** TLS names no server by an IP address, and grpc-js would; the certificate is checked against the address all the same. */
const namelessServer: grpc.ChannelOptions = { "grpc.ssl_target_name_override": "address.invalid" };

function tlsCredentials(host: string, { caFile, certificateFile, keyFile }: GrpcOptions): grpc.ChannelCredentials {
  if ((certificateFile === undefined) !== (keyFile === undefined))
    throw new Error("a client certificate needs both: certificateFile and keyFile");
  const [ca, key, certificate] = [caFile, keyFile, certificateFile].map((file) =>
    file === undefined ? null : readFileSync(file),
  );
  const byAddress = { checkServerIdentity: (_: string, shown: PeerCertificate) => checkServerIdentity(host, shown) };
  return grpc.credentials.createSsl(ca, key, certificate, isIP(host) > 0 ? byAddress : {});
}
