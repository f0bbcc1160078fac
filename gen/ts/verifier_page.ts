/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "97d15a571d0891c666a80f6f6163f459ecbb8063741cf2ff0bc90a95ee1cc210";
