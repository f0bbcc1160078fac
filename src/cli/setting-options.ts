/** Options that people guess for `serve`, which takes settings instead: which setting was meant, and how to set it. */
import { settingNames, settings } from "../config/known-settings.ts";
import { environmentName } from "../config/sources.ts";

const ports = ["fluo.kms.http.port", "fluo.kms.grpc.port"] as const;
/** Other servers' options. */
const guesses: Readonly<Record<string, readonly string[]>> = {
  p: ports,
  port: ports,
  H: ["fluo.kms.host"],
  address: ["fluo.kms.host"],
  bind: ["fluo.kms.host"],
  listen: ["fluo.kms.host"],
  cert: ["fluo.kms.tls.certificate"],
  key: ["fluo.kms.tls.key"],
};

/** Follows `serve has no option --port`; undefined if no setting has such a name. `value` is what stood behind the option. */
export function settingMeant(option: string, value: string | undefined): string | undefined {
  const names = (Object.hasOwn(guesses, option) ? guesses[option] : undefined) ?? settingsCalled(option);
  const [name] = names;
  if (name === undefined) return undefined;
  const which = names.length > 1 ? `ports are the settings ${names.join(" and ")}` : `it is the setting ${name}`;
  const text = valueShown(name, value);
  return `: ${which}; start it with ${environmentName(name)}=${text} npx fluo-kms serve, or write ${name}=${text} into application.properties`;
}

/** `--http-port`, `--fluo.kms.http.port` and `--FLUO_KMS_HTTP_PORT` are fluo.kms.http.port. */
function settingsCalled(option: string): string[] {
  const asVariable = environmentName(option);
  return settingNames.filter((name) => {
    const variable = environmentName(name);
    return variable === asVariable || variable === `FLUO_KMS_${asVariable}` || variable === `KMS_${asVariable}`;
  });
}

/** A value that was given may be a secret, and is shown for ports alone. */
function valueShown(name: string, value: string | undefined): string {
  if (name.endsWith(".port") && value !== undefined && /^\d{1,5}$/.test(value)) return value;
  const setting = (settings as Record<string, { standard?: string }>)[name];
  return setting?.standard ?? "…";
}
