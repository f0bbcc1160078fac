/**
 * The kinds of values. A parser takes the trimmed, not empty text and gives the value, or throws a Refusal that says what is wrong and
 * what to do. Numbers, durations and slips of known words are shown as they were given; anything else may be a secret in the wrong
 * place, and is not.
 */
import { isIP } from "node:net";
import { suggestion } from "../encoding/nearest.ts";

export type Parser<T> = (text: string) => T;

/** Thrown by parsers; becomes one problem. */
export class Refusal extends Error {}

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const shownLength = 24;

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): Parser<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new Refusal(`must be a whole number from ${min} to ${max}, not ${shown(text)}`);
  };
}

/** A decimal number from 0 to `max`, as people write prices: a point, no sign, no exponent, no currency. */
export function decimal(max: number): Parser<number> {
  return (text) => {
    const value = /^\d{1,12}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
    if (value <= max) return value;
    throw new Refusal(
      `must be a number from 0 to ${max} such as 0.03, with a point and at most nine digits after it, not ${shown(text)}`,
    );
  };
}

/** An ISO 4217 code. */
export const currencyCode: Parser<string> = (text) => {
  if (/^[A-Z]{3}$/.test(text)) return text;
  throw new Refusal("must be the three capitals of a currency, such as USD");
};

/** Milliseconds, from text such as 500ms, 20s, 60m, 4h or 7d. Bounds are written the same way. */
export function duration(min: string, max: string): Parser<number> {
  const [minMs, maxMs] = [milliseconds(min)!, milliseconds(max)!];
  return (text) => {
    const value = milliseconds(text);
    if (value !== undefined && value >= minMs && value <= maxMs) return value;
    throw new Refusal(
      `must be a duration from ${min} to ${max}, a whole number with ms, s, m, h or d, not ${shown(text)}`,
    );
  };
}

/** One of `available`. A wrong word is shown if it is near one of these, so that it is no secret. */
export function choice<const T extends string>(available: readonly T[]): Parser<T> {
  return (text) => {
    const chosen = available.find((word) => word === text);
    if (chosen !== undefined) return chosen;
    throw new Refusal(withMeant(text, `is not a known word; available: ${available.join(", ")}`, available));
  };
}

export const trueOrFalse: Parser<boolean> = (text) => choice(["true", "false"])(text.toLowerCase()) === "true";

export const profileName: Parser<string> = (text) => {
  if (text.toLowerCase() === "production" || text.toLowerCase() === "prod") {
    if (text !== "prod") throw new Refusal("must be written prod for production");
  }
  if (/^[a-z][a-z0-9_-]{0,31}$/.test(text)) return text;
  throw new Refusal(withMeant(text, "must be a lower-case word, such as dev or prod", ["dev", "prod"]));
};

/** An address to listen at. Whether it may be used is judged beside the authentication. */
export const host: Parser<string> = (text) => {
  if (isIP(text) !== 0 || /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(text)) return text;
  throw new Refusal("must be an IP address (IPv6 without brackets) or a host name, without a port");
};

export const issuerName: Parser<string> = (text) => {
  if (/^[a-z0-9.-]+(:[0-9]+)?(\/[a-z0-9._-]+)*$/.test(text)) return text;
  throw new Refusal("must be a lower-case host name, with a port and a path if need be, such as kms.example.com/eu");
};

const units: Readonly<Record<string, number>> = { MiB: 2 ** 20, GiB: 2 ** 30 };

/** Reads a size, in bytes. */
export function byteSize(leastMiB: number): Parser<number> {
  return (text) => {
    const [, digits, unit] = /^([1-9][0-9]{0,5})(MiB|GiB)$/.exec(text) ?? [];
    const bytes = unit === undefined ? 0 : Number(digits) * units[unit]!;
    if (bytes >= leastMiB * units.MiB!) return bytes;
    throw new Refusal(`must be a whole number of MiB or GiB, such as 512MiB or 1GiB, and at least ${leastMiB}MiB`);
  };
}

export const filePath: Parser<string> = (text) => {
  // Other messages show paths: a key pasted where its path is due must not get there.
  if (!/\p{Cc}|-----BEGIN/u.test(text)) return text;
  throw new Refusal("must be the path of a file, not its content");
};

/** A directory that may be made, which nobody wants under this name. */
export const directoryPath: Parser<string> = (text) => {
  if (text.startsWith("~")) throw new Refusal("must be a path without ~, which only shells write out");
  return filePath(text);
};

/** Of Vault's tokens, JSON web tokens and AppRole's secret ids, which messages must not show either. */
const looksSecret = /^(hv[bsr]|[bsr])\.[\w.-]{20,}$|^eyJ[\w-]+\.|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A file with a secret in it. */
export const secretFile: Parser<string> = (text) => {
  if (looksSecret.test(text)) throw new Refusal("must be the path of a file, not the secret itself");
  return filePath(text);
};

/** Holds a password, as a rule. What the client would stumble over later is found now: its error would show the whole text. */
export const postgresUrl: Parser<string> = (text) => {
  if (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text) && isDecodable(text)) return text;
  throw new Refusal(
    "must be a URL such as postgres://user:password@host:5432/database, with %XX for what is special in a password",
  );
};

/** A URL of a server, without a user or a path of its own. */
export const httpUrl: Parser<string> = (text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url !== undefined && /^https?:$/.test(url.protocol) && `${url.username}${url.search}${url.hash}` === "";
  if (isPlain && url.pathname === "/") return url.origin;
  throw new Refusal("must be a URL such as https://host:port, without a path");
};

const gcpKeyPattern = /^projects\/[a-z0-9.:-]+\/locations\/[a-z0-9-]+\/keyRings\/[\w-]+\/cryptoKeys\/[\w-]+$/;

/** The resource name of a key: which of its versions is used, Cloud KMS decides. */
export const gcpKey: Parser<string> = (text) => {
  if (gcpKeyPattern.test(text)) return text;
  if (gcpKeyPattern.test(text.replace(/\/cryptoKeyVersions\/\d+$/, ""))) {
    throw new Refusal("must name the key without a version: leave out /cryptoKeyVersions/ and what follows");
  }
  throw new Refusal("must be a key's resource name, as projects/P/locations/L/keyRings/R/cryptoKeys/K");
};

const awsKeyPattern = /^[A-Za-z0-9:/_-]{1,2048}$/;
const awsRegionPattern = /^[a-z]{2,}(-[a-z0-9]+)+$/;

export const awsKey: Parser<string> = (text) => {
  if (awsKeyPattern.test(text)) return text;
  throw new Refusal("must be a key id, a key ARN, an alias such as alias/fluo-kms, or an alias ARN");
};

export const awsRegion: Parser<string> = (text) => {
  if (awsRegionPattern.test(text)) return text;
  throw new Refusal("must be the name of a region, such as eu-central-1");
};

export interface AwsReplica {
  region: string;
  masterKeyId: string;
  endpoint: string | undefined;
}

/** `region=key`, or `region=key@https://endpoint`, with commas between. */
export const awsFailover: Parser<AwsReplica[]> = (text) => {
  const replicas = text.split(",").map((part) => {
    const [, region = "", masterKeyId = "", endpoint] = /^\s*([^=\s]+)=([^@\s]+)(?:@(\S+))?\s*$/.exec(part) ?? [];
    if (!awsRegionPattern.test(region) || !awsKeyPattern.test(masterKeyId)) {
      throw new Refusal(
        "must be a list such as eu-west-1=mrk-1234,us-east-1=mrk-1234: region=key, in order of preference",
      );
    }
    return { region, masterKeyId, endpoint: endpoint === undefined ? undefined : httpUrl(endpoint) };
  });
  return replicas;
};

/** `https://HOST/keys/NAME`, in lower case, as case does not count there. */
export const azureKey: Parser<string> = (text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const [, name, version] = /^\/keys\/([0-9a-z-]{1,127})(\/[^/]+)?\/?$/i.exec(url?.pathname ?? "") ?? [];
  const isPlain = url?.protocol === "https:" && `${url.username}${url.password}${url.search}${url.hash}` === "";
  if (!isPlain || name === undefined) {
    throw new Refusal("must be the identifier of a key, such as https://fluo.vault.azure.net/keys/fluo-kms");
  }
  if (version !== undefined) {
    throw new Refusal(
      "names a version of the key; leave it out: new keys are wrapped under the vault's current version",
    );
  }
  return `${url.origin}/keys/${name}`.toLowerCase();
};

/** In hex, lower case. */
export const sha256: Parser<string> = (text) => {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new Refusal("must be a SHA-256 of 64 lower-case hexadecimal digits, as the service logs it at start");
};

const openWords = ["health", "metrics", "public-keys", "reflection"] as const;

/** What is served to whoever reaches it, with commas between; `none` for nothing. */
export const openPaths: Parser<(typeof openWords)[number][]> = (text) => {
  if (text === "none") return [];
  return text.split(",").map((word) => choice(openWords)(word.trim()));
};

/** Sites whose pages may call, with commas between. */
export const origins: Parser<string[]> = (text) =>
  text.split(",").map((each) => {
    const origin = each.trim();
    if (/^https:\/\//.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin) return origin;
    throw new Refusal(
      "must be a list of origins such as https://app.example.org, in lower case, without a path or slash",
    );
  });

export const plainName: Parser<string> = (text) => {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(text)) return text;
  throw new Refusal("must be a name of letters, digits, dots, dashes and underscores");
};

/** Of a mount or a namespace, as in `teams/audit`. */
export const vaultPath: Parser<string> = (text) => {
  const path = text.replace(/^\/|\/$/g, "");
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/.test(path)) return path;
  throw new Refusal("must be a path such as transit or teams/audit");
};

/** A word that is never shown. */
export const secret: Parser<string> = (text) => {
  if (/^[\x21-\x7e]{1,4096}$/.test(text)) return text;
  throw new Refusal("must be one word of visible ASCII");
};

/** `recent`, or the names of tenants with commas between. */
export const warmTenants: Parser<"recent" | string[]> = (text) => {
  if (text === "recent") return text;
  const tenants = text.split(",").map((name) => name.trim());
  if (tenants.every((name) => /^[a-z0-9][a-z0-9._-]{0,62}$/.test(name))) return tenants;
  throw new Refusal(
    "must be recent, or names of tenants with commas between, each lower-case ASCII of at most 63 characters",
  );
};

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function milliseconds(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * unitMs[unit as keyof typeof unitMs];
}

/** Adds the wrong word and the one that was meant, if there is one. */
function withMeant(text: string, refusal: string, words: readonly string[]): string {
  const meant = suggestion(text, words);
  return meant === "" ? refusal : `${shown(text)} ${refusal}${meant}`;
}

function shown(text: string): string {
  return JSON.stringify(text.length > shownLength ? `${text.slice(0, shownLength)}…` : text);
}
