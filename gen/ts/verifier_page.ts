/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "fc5b4e04ab6f55c231409f3a5051ea6052425f477829bfb1597beb85ac445db9";
