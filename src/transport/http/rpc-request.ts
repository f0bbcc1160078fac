/** A request for a rpc by HTTP/1.1, as its protocol has it. */
import type { KmsError } from "../../errors.ts";
import type { Reply } from "./route.ts";

export interface RpcRequest {
  /** Whether messages are binary, and not JSON. */
  binary: boolean;
  /** Whether it is for a rpc without streams; undefined where the protocol asks for both alike. */
  unary?: boolean;
  /** Whether the message is compressed outside the body. */
  compressed?: boolean;
  /** How long the caller waits. INVALID_ARGUMENT where that cannot be read. */
  timeoutMs(): number | undefined;
  /** The one message of a body, decompressed. INVALID_ARGUMENT where it is none. */
  message(body: Buffer): Promise<Uint8Array>;
  answer(message: Uint8Array): Promise<Reply>;
  refusal(error: KmsError): Reply;
}
