/** Decides loans: applicants are stored with their PII encrypted, decisions are spans that are signed as they are exported. */
import { decryptRecord, encryptRecord } from "@fluo/kms";
import { createGrpcKms } from "@fluo/kms/node";
import { startBackend } from "./backend.ts";
import { startTracing } from "./tracing.ts";
import { verdictsOn } from "./audit.ts";

const tenant = "acme";
const { FLUO_KMS_GRPC_ADDR: target = "localhost:9000", FLUO_KMS_URL: url = "http://localhost:8080" } = process.env;

const kms = createGrpcKms({ target, insecure: true });
const backend = await startBackend();
const tracing = startTracing(kms, {
  tenantId: tenant,
  endpoint: process.env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? backend.url,
});

const applicant = { id: 7, name: "Zoë Example", email: "zoe@example.com", income: 52_000 };
const names = { name: "applicant.name", email: "applicant.email" } as const;
const stored = await encryptRecord(kms, tenant, applicant, names, { context: { table: "applicants" } });
console.log(`stored: ${stored.email.slice(0, 12)}…`);

await tracing.tracer.startActiveSpan("decide-loan", async (span) => {
  const { income } = await decryptRecord(kms, tenant, stored, names, { context: { table: "applicants" } });
  span.setAttributes({ "applicant.id": stored.id, "loan.approved": income > 40_000 });
  span.end();
});

const notDelivered = await tracing.stop();
console.log(`not delivered: ${notDelivered}`);
for (const { spanId, reason, leafIndex } of await verdictsOn(backend.exports(), { url, tenant }))
  console.log(`${spanId}: ${reason}, entry ${leafIndex} of the log`);
kms.close();
await backend.stop();
