/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "de3e04f8fc30c15179b2ba17181cc898610720272f0ac0fbb09ff925f84f5e78";
