/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */
export const verifierPageSha256 = "75c2631b2de38155b3f29cf9733df893864f8fee60a3bd19f49aaad2df145034";
