/**
 * AWS KMS: one symmetric key, in one region or, as a multi-Region key, in several. At start the key is described in the first region that
 * answers, so that an alias is resolved once: pointed elsewhere later, it changes nothing until the next start.
 */
import { hasCode, invalidField, KmsError } from "../../errors.ts";
import { reach } from "./advice.ts";
import { type AwsClient, awsClient } from "./client.ts";
import { withDeadline } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import { distrusted } from "../distrust.ts";
import { type AwsKey, describedKey, idIn, regionIn } from "./key.ts";
import { awsProvider } from "./provider.ts";
import type { AwsSettings } from "./settings.ts";
import type { Provider } from "../provider.ts";

/** A place whose region is known. */
interface Place {
  client: AwsClient;
  region: string;
  masterKeyId: string;
}

/** For each place to answer at start, the search for credentials included. */
const openTimeoutMs = 5_000;

/**
 * Throws INVALID_ARGUMENT for settings that cannot be used, PROVIDER_DENIED where the key is missing or may not be used,
 * PROVIDER_UNAVAILABLE where no place answers.
 */
export async function openAws(
  { places: settings, profile }: AwsSettings,
  time: Time,
): Promise<readonly [Provider, ...Provider[]]> {
  const clients = settings.map(({ region, endpoint }) => awsClient({ region, endpoint, profile }, time));
  try {
    const places = await Promise.all(
      settings.map(({ masterKeyId }, at) => placed(clients[at]!, masterKeyId, at, time)),
    );
    refuseSameRegion(places);
    const { key, answeredAt } = await firstDescribed(places, time);
    refuseOtherKeys(places, key, answeredAt);
    const [first, ...others] = places.map(({ client, region }) => awsProvider(client, key, region));
    return [first!, ...others];
  } catch (error) {
    for (const client of clients) client.close();
    throw error;
  }
}

async function placed(client: AwsClient, masterKeyId: string, at: number, time: Time): Promise<Place> {
  const region = await withDeadline(time, openTimeoutMs, late, (signal) => client.region(signal));
  const named = regionIn(masterKeyId);
  if (named !== undefined && named !== region) {
    throw invalidField(settingOf(at), `${masterKeyId} is an ARN of ${named}, but the region is ${region}`);
  }
  return { client, region, masterKeyId };
}

async function firstDescribed(places: readonly Place[], time: Time): Promise<{ key: AwsKey; answeredAt: number }> {
  let failure: KmsError | undefined;
  for (const [answeredAt, { client, masterKeyId }] of places.entries()) {
    try {
      const described = await withDeadline(time, openTimeoutMs, late, (signal) =>
        client.describeKey(masterKeyId, signal),
      );
      if (described === undefined) throw distrusted("it describes no key");
      return { key: describedKey(described), answeredAt };
    } catch (error) {
      if (!hasCode(error, "PROVIDER_UNAVAILABLE")) throw error;
      failure = error;
    }
  }
  throw advised(failure!, places);
}

/** At the start there is no log of calls yet, and no Validate, to say why. */
function advised({ code, message, cause, advice }: KmsError, places: readonly Place[]): KmsError {
  const regions = places.map(({ region }) => region);
  return new KmsError(code, message, {
    cause,
    advice: advice ?? reach(regions, (cause as NodeJS.ErrnoException | undefined)?.code),
  });
}

function late(): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", "the provider did not answer in time");
}

function refuseSameRegion(places: readonly Place[]): void {
  const twice = places.find(({ region }, at) => places.findIndex((place) => place.region === region) < at);
  if (twice !== undefined) throw invalidField("aws.kms.failover", `names ${twice.region} twice`);
}

/** What an alias stands for in a place that was not asked cannot be told; there, too, the key that was described is used. */
function refuseOtherKeys(places: readonly Place[], key: AwsKey, answeredAt: number): void {
  if (places.length === 1) return;
  if (!key.isMultiRegion) {
    throw invalidField("aws.kms.failover", `needs a multi-Region key, and ${key.keyId} is in one region only`);
  }
  const id = key.keyId.slice(key.keyId.lastIndexOf("/") + 1);
  const other = places.find((place, at) => at !== answeredAt && (idIn(place.masterKeyId) ?? id) !== id);
  if (other === undefined) return;
  throw invalidField("aws.kms.failover", `${other.masterKeyId} in ${other.region} is not a replica of ${key.keyId}`);
}

function settingOf(at: number): string {
  return at === 0 ? "aws.kms.master-key-id" : "aws.kms.failover";
}
