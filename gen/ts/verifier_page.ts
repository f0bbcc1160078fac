/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "5ab7d59e0f27244aec24abfe0fa030987c3183c1c99450018bf04ca8820f31c2";
