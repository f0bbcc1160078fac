/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "8d4283f1b5c7d75e61b2d0085699a2989e74af3ca7472b0532f13a0c995de5c3";
