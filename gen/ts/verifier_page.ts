/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "e88958a8845338ed0ab710a68b13fe6c3bd85f29500a3764483c6214bb29fddb";
