/** Preloaded into a process in which no provider's SDK may be loaded: `node --import`. */
import { registerHooks } from "node:module";

const sdk = /^(@aws-sdk|@smithy|@google-cloud|@azure)\/|^google-auth-library$/;

registerHooks({
  resolve(specifier, context, next) {
    if (sdk.test(specifier)) throw new Error(`the SDK ${specifier} is loaded by ${context.parentURL}`);
    return next(specifier, context);
  },
});
