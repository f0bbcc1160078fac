/** Trusted Types: the page's policy lets markup and addresses of scripts come from here alone. */

export interface TrustedText {
  /** The report, which escapes what others wrote, for a frame without scripts. */
  html(text: string): string;
  /** The page's own script, for its worker. */
  scriptUrl(url: string): string;
}

interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createHTML(text: string): string; createScriptURL(text: string): string },
  ): { createHTML(text: string): string; createScriptURL(text: string): string };
}

/** Browsers that lack Trusted Types take the texts as they are. */
export function trustedText(): TrustedText {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  const same = (text: string) => text;
  const policy = trustedTypes?.createPolicy("fluo-verify", { createHTML: same, createScriptURL: same });
  return {
    html: (text) => policy?.createHTML(text) ?? text,
    scriptUrl: (url) => policy?.createScriptURL(url) ?? url,
  };
}
