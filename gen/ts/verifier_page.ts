/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "c6bcb2f3d0a90e24d3154ffa8af2a8881d8e9cc199dd273732a65f51c2d377fb";
