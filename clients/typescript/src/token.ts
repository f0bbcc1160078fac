/** Bearer tokens, which are asked for at each call, and never go over a network in cleartext. */

/** Gives the token of a call, so that it can be renewed. */
export type TokenSource = () => string | Promise<string>;

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i;

/** `host` is without its port. Throws for a token that anybody on the way could read, and for cleartext that was not asked for. */
export function requireSafe(
  host: string,
  { isTls, insecure, token }: { isTls: boolean; insecure: boolean; token: TokenSource | undefined },
): void {
  if (isTls || loopback.test(host)) return;
  if (token !== undefined)
    throw new Error(
      `a token would go to ${host} in cleartext, where anybody on the way can read it: connect with TLS, or by a proxy on localhost`,
    );
  if (!insecure)
    throw new Error(`the connection to ${host} would be in cleartext: connect with TLS, or set \`insecure: true\``);
}

/** The header that shows it. Throws for what no header can hold; the token is in no message. */
export async function authorization(token: TokenSource): Promise<string> {
  const text = await token();
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Error("the token must be printable ASCII, without spaces or line feeds");
  return `Bearer ${text}`;
}
