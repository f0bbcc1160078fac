/** The commands of the advice name a vault's key as they name Managed HSM's, each by its own options and roles. */
import { describe, expect, it } from "vitest";
import * as advice from "../../../src/provider/azure/advice.ts";

const vault = { keyId: "https://fluo.vault.azure.net/keys/kms" };
const hsm = { keyId: "https://fluo.managedhsm.azure.net/keys/kms" };

describe("the advice for a key in", () => {
  it("a vault is given by the options of vaults, and Azure's roles on the key", () => {
    expect(advice.recover(vault)).toContain("az keyvault key recover --vault-name fluo --name kms");
    expect(advice.protectFromPurge(vault)).toContain("az keyvault update --name fluo --enable-purge-protection true");
    expect(advice.openNetwork(vault)).toContain("az keyvault network-rule add --name fluo --ip-address ADDRESS");
    expect(advice.findVault(vault)).toContain("az keyvault recover --name fluo");
    expect(advice.makeStronger(vault, "weak")).toContain("--vault-name fluo --name NEW-NAME --kty RSA-HSM --size 3072");
    const scope = '--scope "$(az keyvault show --name fluo --query id -o tsv)/keys/kms"';
    for (const [action, name, role] of [
      ["read", "keys/read", "Key Vault Crypto Service Encryption User"],
      ["wrap", "keys/wrap/action", "Key Vault Crypto Service Encryption User"],
      ["unwrap", "keys/unwrap/action", "Key Vault Crypto Service Encryption User"],
      ["readRotation", "keyrotationpolicies/read", "Key Vault Reader"],
    ] as const) {
      const text = advice.allow(vault, action);
      expect(text).toContain(`Microsoft.KeyVault/vaults/${name}: az role assignment create --role "${role}"`);
      expect(text).toContain(scope);
    }
  });

  it("Managed HSM is given by the options of HSMs, and its own roles", () => {
    expect(advice.recover(hsm)).toContain("az keyvault key recover --hsm-name fluo --name kms");
    expect(advice.protectFromPurge(hsm)).toContain(
      "az keyvault update-hsm --hsm-name fluo --enable-purge-protection true",
    );
    expect(advice.openNetwork(hsm)).toContain("az keyvault network-rule add --hsm-name fluo --ip-address ADDRESS");
    expect(advice.findVault(hsm)).toContain(
      "az keyvault list-deleted --resource-type hsm, az keyvault recover --hsm-name fluo",
    );
    expect(advice.makeStronger(hsm, "weak")).toContain("--hsm-name fluo --name NEW-NAME --kty oct-HSM --size 256");
    expect(advice.allow(hsm, "unwrap")).toContain(
      'Microsoft.KeyVault/managedHsm/keys/unwrap/action: az keyvault role assignment create --hsm-name fluo --role "Managed HSM Crypto Service Encryption User"',
    );
    expect(advice.allow(hsm, "unwrap")).toContain("--scope /keys/kms");
    expect(advice.allow(hsm, "readRotation")).toContain(
      "az keyvault key rotation-policy show --id https://fluo.managedhsm.azure.net/keys/kms",
    );
  });
});
