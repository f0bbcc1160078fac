/** Where Terraform's providers lie on this machine, as `terraform providers mirror` writes them, so that none is downloaded. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const provider = join("registry.terraform.io", "hashicorp", "aws");

/** TF_PLUGIN_MIRROR if it is set, else the first of the usual places that has the AWS provider; undefined where there is none. */
export function terraformMirror(named = process.env.TF_PLUGIN_MIRROR): string | undefined {
  const places = named === undefined ? usualPlaces() : [named];
  return places.find((place) => existsSync(join(place, provider)));
}

function usualPlaces(): string[] {
  const mirrors = ["/opt", "/usr/local/share", homedir()].map((parent) => join(parent, "tf-plugins"));
  // Terraform's own: developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
  return [...mirrors, "/usr/local/share/terraform/plugins", join(homedir(), ".terraform.d", "plugins")];
}
