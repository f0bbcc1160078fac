/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "172392b40188a721d823a73330b0d94491db43400fb73cdda1736610ec48712b";
