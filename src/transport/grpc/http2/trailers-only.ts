/** Trailers-Only: an error that ends a call by headers alone, whatever of the request is still on its way. */
import { constants, type ServerHttp2Stream } from "node:http2";
import type { KmsError } from "../../../errors.ts";
import { toGrpcStatus } from "../../error-status.ts";

export function respondTrailersOnly(
  stream: ServerHttp2Stream,
  error: KmsError,
  httpStatus = constants.HTTP_STATUS_OK,
): void {
  stream.on("error", () => {}); // a caller that leaves meanwhile
  const { code, details = "", metadata } = toGrpcStatus(error);
  const said = { "grpc-status": code, "grpc-message": encodeURI(details), ...metadata?.toHttp2Headers() };
  stream.respond({ ":status": httpStatus, "content-type": "application/grpc", ...said }, { endStream: true });
}
