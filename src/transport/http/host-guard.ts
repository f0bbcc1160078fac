/**
 * Keeps pages of other sites out. A browser names the page's site in Origin, which must be the service itself, or one that the operator has
 * named; and where nobody is authenticated, Host must be a loopback name, or a site could point its own name here (DNS rebinding).
 */
import type { IncomingMessage } from "node:http";
import { KmsError } from "../../errors.ts";
import type { Cors } from "./cors.ts";

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

export function hostGuard(
  loopbackOnly: boolean,
  { allows }: Pick<Cors, "allows">,
): (request: IncomingMessage) => KmsError | undefined {
  return ({ rawHeaders, headers: { host = "", origin } }) => {
    // node:http takes the first of several, where a proxy before it may have looked at the last.
    const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host");
    if (hosts.length !== 1) return new KmsError("INVALID_ARGUMENT", "there must be one Host header");
    if (loopbackOnly && !loopback.test(host)) {
      return new KmsError(
        "PERMISSION_DENIED",
        "without authentication the service answers only to a loopback host name",
      );
    }
    if (!URL.canParse(`http://${host}`)) return new KmsError("INVALID_ARGUMENT", "the Host header names no host");
    const isOwn = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
    if (!isOwn && !allows(origin)) {
      return new KmsError("PERMISSION_DENIED", "requests from pages of another origin are refused");
    }
    return undefined;
  };
}
