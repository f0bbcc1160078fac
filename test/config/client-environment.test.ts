import { expect, it } from "vitest";
import { clientEnvironment } from "../../src/config/client-environment.ts";

const variables = {
  FLUO_KMS_ADDR: "address",
  FLUO_KMS_CONNECT_TO: "connectTo",
  FLUO_KMS_GRPC_ADDR: "grpcAddress",
  FLUO_KMS_TOKEN: "token",
  FLUO_KMS_TOKEN_FILE: "tokenFile",
  FLUO_KMS_CACERT: "caFile",
  FLUO_KMS_CLIENT_CERT: "certificateFile",
  FLUO_KMS_CLIENT_KEY: "keyFile",
};

it.each(Object.entries(variables))("has %s, without space around it", (variable, member) => {
  expect(clientEnvironment({ [variable]: " value\n" })).toMatchObject({ [member]: "value" });
});

it("has nothing of what is empty, nor of what others use", () => {
  const empty = Object.fromEntries(Object.keys(variables).map((name) => [name, " "]));
  const env = clientEnvironment({
    ...empty,
    VAULT_TOKEN: "hvs.secret",
    VAULT_ADDR: "https://vault",
    VAULT_CACERT: "/ca",
  });
  expect(Object.keys(env).sort()).toEqual(Object.values(variables).sort());
  expect(Object.values(env)).toEqual(Object.values(variables).map(() => undefined));
});
