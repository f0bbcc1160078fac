/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "eda8d75d3c0b50fc00d6cc17c2519b1e795ed41658de3695decfdda6b5fbb1f8";
