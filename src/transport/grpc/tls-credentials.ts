/** TLS for grpc-js: its own credentials know neither a certificate that is asked for and not demanded, nor a context that changes by itself. */
import * as grpc from "@grpc/grpc-js";
import type { Tls } from "../tls.ts";

const handshakeMs = 10_000;

/** A class, because grpc-js has no other way to them. */
class TlsCredentials extends grpc.ServerCredentials {
  constructor(tls: Tls, requestCert: boolean) {
    // One that is not accepted is told so by an answer: a handshake that fails is a riddle to clients.
    super({ requestCert, rejectUnauthorized: false, handshakeTimeout: handshakeMs }, tls.options());
    tls.subscribe((options) => this.updateSecureContextOptions(options));
  }

  override _equals(other: grpc.ServerCredentials): boolean {
    return this === other;
  }
}

export function tlsCredentials(tls: Tls, requestCert: boolean): grpc.ServerCredentials {
  return new TlsCredentials(tls, requestCert);
}
