/**
 * A fake of the service for tests, in Node: in process, without network and files.
 *
 * **Its key is public.** It is in this package's source, the same for all tenants and everybody: nothing that the fake encrypts is secret,
 * and nothing that it signs is evidence.
 */
export { createFakeKms, type FakeKms, type FakeKmsOptions } from "./testing/fake-kms.ts";
export { type FakeReason, type FakeRpc, refusals } from "./testing/refusals.ts";
