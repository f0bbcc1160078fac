/** Commands that a service's local socket alone serves. */
import { type Option, type OptionValues, UsageError } from "../command.ts";
import { type Answer, askService, type Call, placeOf } from "../service-client.ts";
import { noCredentials } from "../access/credentials.ts";

export const localOptions: readonly Option[] = [
  { name: "address", value: "unix:PATH", description: "the service's local socket, else FLUO_KMS_ADDR" },
];

export function callLocal(options: OptionValues, call: Call): Promise<Answer> {
  const place = placeOf(options);
  if (place.socket === undefined) {
    const where = "the path of fluo.kms.local-socket, on the machine or in the container of the service";
    throw new UsageError(`only a local socket serves this; give --address unix:PATH, ${where}`);
  }
  return askService({ place, credentials: noCredentials }, call);
}
