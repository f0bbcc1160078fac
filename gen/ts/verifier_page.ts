/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "166a63e952b54fcc26e12348dafb3d67048e1de83195e21cdd77fab942bff730";
