/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "6fef36c9588e05098b07b34afd1629d7867321986cca6ec8efda981b8448ccc7";
