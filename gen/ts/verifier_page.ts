/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "3d4a1bc38e2b0e1a31722766fe5a6c0292d13b7ff35ac1a85aa04dc7c059c6f0";
