/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "ad49e81535c94e04ae0f095b7fcd9b5b543ca7b004fb555bb26db293662320e6";
