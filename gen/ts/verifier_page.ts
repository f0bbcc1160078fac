/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "6f2723bafa6d11d4296384766a14cd34efb75c74da423481a98692adbffc4c4f";
