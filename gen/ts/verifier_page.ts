/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "d5ee7f94023f71c06d16bf91639b87b3236387b2ad2641896156056646d725f0";
