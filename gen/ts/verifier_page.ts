/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "317d097af1942cd75ff32afb10c09f04e6cb75c080048d8423288c62ad03afd0";
