/** The token that a command shows a service. It is never an argument, which every user of a machine can see. */
import { readFileSync } from "node:fs";
import type { ClientEnvironment } from "../../config/client-environment.ts";
import { isLoopback } from "../../runtime/loopback.ts";
import { type Option, type OptionValues, textOf, UsageError } from "../command.ts";
import { fileNamed, type Named, nameOf, readShown } from "./named-files.ts";

/** Where a service is, as far as it depends on that what it may be shown. */
export interface Place {
  /** The address as it was given. */
  text: string;
  host: string;
  isTls: boolean;
  /** Path of the unix socket that it is; nothing is shown there. */
  socket?: string | undefined;
  /** Where connections go in its stead: the certificate and the name stay those of the address. */
  via?: Via | undefined;
}

/** `host` is without brackets. */
export interface Via {
  host: string;
  port: number;
}

export interface ServiceToken {
  text: string;
  /** Where it was found, for messages. */
  from: string;
}

export const tokenOption: Option = {
  name: "token-file",
  value: "FILE",
  description: "file of the token to show, read at each call; - is standard input",
};

const variables = { file: "FLUO_KMS_TOKEN_FILE", text: "FLUO_KMS_TOKEN" } as const;

/** The token as it is now; undefined where none is named. Throws UsageError where it is none, or would cross a network in the clear. */
export function tokenFor(options: OptionValues, place: Place, env: ClientEnvironment): ServiceToken | undefined {
  const option = textOf(options, tokenOption.name);
  if (option === undefined && env.tokenFile !== undefined && env.token !== undefined) {
    throw new UsageError(`${variables.file} and ${variables.text} are both set; unset one of them`);
  }
  const named = fileNamed([tokenOption.name, option], [variables.file, env.tokenFile]);
  if (named === undefined && env.token === undefined) return undefined;
  if (!place.isTls && !isLoopback(place.via?.host ?? place.host)) {
    throw new UsageError(
      `a token is not sent to ${place.via?.host ?? place.text}, where others could read it on its way; use https://`,
    );
  }
  if (named === undefined) return tokenIn(env.token!, variables.text);
  return readToken(named);
}

/** The token of a file, or of standard input. Throws UsageError where there is none. */
export function readToken(named: Named): ServiceToken {
  if (/^(fkt_|eyJ)/.test(named.file)) {
    throw new UsageError(
      `${named.origin} must be the path of a file, not the token itself; take it for known to others`,
    );
  }
  if (named.file === "-") return tokenIn(standardInput(named), "standard input");
  return tokenIn(readShown(named, { isSecret: true }), nameOf(named));
}

/** What a header takes, and a service looks at. */
const form = /^[\x21-\x7e]{1,8192}$/;

function tokenIn(content: string, from: string): ServiceToken {
  const text = content.trim();
  if (form.test(text)) return { text, from };
  const what = text === "" ? "is empty" : "holds no token";
  throw new UsageError(`${from} ${what}; it must hold a token alone, without "Bearer" before it`);
}

/** There is one, which can be read once. */
let piped: string | undefined;

function standardInput({ origin }: Named): string {
  try {
    piped ??= readFileSync(0, "utf8");
    return piped;
  } catch (error) {
    throw new UsageError(`${origin} -: standard input cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
