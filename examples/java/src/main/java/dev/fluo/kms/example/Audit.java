package dev.fluo.kms.example;

import dev.fluo.kms.verify.KeySet;
import dev.fluo.kms.verify.Verdict;
import dev.fluo.kms.verify.Verifier;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;

/** What an auditor does, who has the spans and the public keys, and asks no service whether spans are good. */
final class Audit {
  private final KeySet keys;

  private Audit(KeySet keys) {
    this.keys = keys;
  }

  /** Fetches the keys as they are now. An auditor keeps them. */
  static Audit of(String serviceUrl, String tenant) throws IOException, InterruptedException {
    URI url = URI.create(serviceUrl + "/api/kms/tenants/" + tenant + "/jwks.json");
    HttpResponse<String> answer =
        HttpClient.newHttpClient()
            .send(HttpRequest.newBuilder(url).build(), HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() != 200) {
      throw new IOException(url + " answered " + answer.statusCode());
    }
    return new Audit(KeySet.parse(answer.body()));
  }

  List<Verdict> verdicts(byte[] export) {
    return new Verifier(keys).verifyExport(export, Loans.TENANT);
  }
}
