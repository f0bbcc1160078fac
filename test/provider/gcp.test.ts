/** The gcp provider by its contract and by what it sends, on a fake of Cloud KMS. What Google refuses: gcp-answers.test.ts. */
import { dependable } from "../../src/provider/failover.ts";
import { providerContract } from "../provider-contract.ts";
import { open, startFake, useMetadataServer } from "./gcp-fixture.ts";

useMetadataServer();

async function openTwo() {
  const kms = await startFake();
  const [one, another] = [kms.createKey(), kms.createKey({ id: "another" })];
  return { provider: await open(kms, one), other: await open(kms, another) };
}

providerContract("gcp", openTwo);
providerContract("gcp behind the resilience layer", async () => {
  const { provider, other } = await openTwo();
  return { provider: dependable([provider]), other: dependable([other]) };
});
