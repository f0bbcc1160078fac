/**
 * Keeps pages of other sites out. A browser names the page's site in Origin, which must be the service itself; and where
 * nobody is authenticated, Host must be a loopback name, or a site could point its own name here (DNS rebinding).
 */
import type { IncomingMessage } from "node:http";
import { KmsError } from "../errors.ts";

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

export function hostGuard(loopbackOnly: boolean): (request: IncomingMessage) => KmsError | undefined {
  return ({ headers: { host = "", origin } }) => {
    if (loopbackOnly && !loopback.test(host)) {
      return new KmsError(
        "PERMISSION_DENIED",
        "without authentication the service answers only to a loopback host name",
      );
    }
    if (!URL.canParse(`http://${host}`)) return new KmsError("INVALID_ARGUMENT", "the Host header names no host");
    if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
      return new KmsError("PERMISSION_DENIED", "requests from pages of another origin are refused");
    }
    return undefined;
  };
}
