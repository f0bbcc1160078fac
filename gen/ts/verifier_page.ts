/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "d259a98c9b02d30620f1fcb7e1d5b9f5f83afb0443857dc93be59a99c832566a";
