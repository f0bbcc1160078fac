/** The aws provider by its contract, on the real SDK and a fake AWS KMS. What AWS refuses is in aws-answers.test.ts. */
import { providerContract } from "../provider-contract.ts";
import { dependable } from "../../src/provider/failover.ts";
import { openOn, useCredentials, twoKeys } from "./aws-fixture.ts";

useCredentials();

providerContract("aws", async () => {
  const { kms, key, other } = await twoKeys();
  const [provider] = await openOn([kms], key.id);
  const [another] = await openOn([kms], other.id);
  return { provider, other: another };
});

providerContract("aws behind the resilience layer", async () => {
  const { kms, key, other } = await twoKeys();
  return { provider: dependable(await openOn([kms], key.id)), other: dependable(await openOn([kms], other.id)) };
});
