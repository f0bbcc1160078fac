/** Where a command connects, if that is not where the address leads: one replica behind a name, by its own address. */
import { clientEnvironment } from "../../config/client-environment.ts";
import { type Option, type OptionValues, textOf, UsageError } from "../command.ts";
import type { Via } from "./token.ts";

export const connectToOption: Option = {
  name: "connect-to",
  value: "HOST:PORT",
  description: "connect there instead, with the name and the certificate of the address; else FLUO_KMS_CONNECT_TO",
};

const form = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+)):(\d{1,5})$/i;

/** The option counts before the variable. Throws UsageError for what is no host and port. */
export function viaOf(options: OptionValues, { connectTo } = clientEnvironment()): Via | undefined {
  const given = textOf(options, connectToOption.name);
  const text = given ?? connectTo;
  if (text === undefined) return undefined;
  const [, address, name, digits] = form.exec(text) ?? [];
  const [host, port] = [address ?? name, Number(digits)];
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port };
  const origin = given === undefined ? "FLUO_KMS_CONNECT_TO" : `--${connectToOption.name}`;
  throw new UsageError(`${origin} must be HOST:PORT, such as 10.0.3.7:8080 or [2001:db8::7]:8080`);
}
