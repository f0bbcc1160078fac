import { KmsError } from "../errors.ts";
import type { Provider } from "./provider.ts";

export interface AwsPlace {
  region: string | undefined;
  masterKeyId: string;
  endpoint: string | undefined;
}
export interface AwsSettings {
  name: "aws";
  places: readonly [AwsPlace, ...AwsPlace[]];
  profile: string | undefined;
}

export async function openAws(_settings: AwsSettings): Promise<readonly [Provider]> {
  throw new KmsError("UNIMPLEMENTED", "provider aws is not served yet");
}
