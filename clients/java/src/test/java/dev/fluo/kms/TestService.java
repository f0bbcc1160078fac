package dev.fluo.kms;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The service of this repository as a process of its own, on free ports of this machine. */
public final class TestService implements AutoCloseable {
  private static final Path ROOT = Path.of("../..").toAbsolutePath().normalize();
  /** A machine that is busy is not at fault. */
  private static final Duration PATIENCE = Duration.ofSeconds(120);

  private static final Pattern GRPC = Pattern.compile("gRPC on ([0-9.]+:[0-9]+)");
  private static final Pattern HTTP = Pattern.compile("on (https?://[0-9.]+:[0-9]+)");

  private final Process process;
  private final String grpc;
  private final String http;

  private TestService(Process process, String grpc, String http) {
    this.process = process;
    this.grpc = grpc;
    this.http = http;
  }

  /** Starts it and waits until it serves. Skips the test if the repository around this folder has no service. */
  public static TestService start() throws Exception {
    boolean isThere =
        Files.exists(ROOT.resolve("src/main.js")) && Files.exists(ROOT.resolve("node_modules/.bin/node"));
    assumeTrue(isThere, "the service is not beside the client");
    ProcessBuilder builder =
        new ProcessBuilder(ROOT.resolve("node_modules/.bin/node").toString(), "src/main.js", "serve")
            .directory(ROOT.toFile())
            .redirectErrorStream(true);
    builder.environment().put("PATH", ROOT.resolve("node_modules/.bin") + ":" + System.getenv("PATH"));
    builder.environment().put("FLUO_KMS_STORE", "memory");
    builder.environment().put("FLUO_KMS_GRPC_PORT", "0");
    builder.environment().put("FLUO_KMS_HTTP_PORT", "0");
    builder.environment().put("FLUO_KMS_ISSUER", "kms.example.com");
    Process process = builder.start();
    CompletableFuture<String[]> serving = new CompletableFuture<>();
    Thread reader = new Thread(() -> read(process.inputReader(), serving), "service-log");
    reader.setDaemon(true);
    reader.start();
    try {
      String[] addresses = serving.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
      return new TestService(process, addresses[0], addresses[1]);
    } catch (Exception e) {
      process.destroyForcibly();
      throw e;
    }
  }

  private static void read(BufferedReader log, CompletableFuture<String[]> serving) {
    StringBuilder said = new StringBuilder();
    String[] addresses = new String[2];
    try {
      for (String line = log.readLine(); line != null; line = log.readLine()) {
        said.append(line).append('\n');
        Matcher grpc = GRPC.matcher(line);
        Matcher http = HTTP.matcher(line);
        addresses[0] = grpc.find() ? grpc.group(1) : addresses[0];
        addresses[1] = http.find() ? http.group(1) : addresses[1];
        if (line.contains("\"serving\"")) {
          serving.complete(addresses);
        }
      }
    } catch (IOException e) {
      // The process has ended.
    }
    serving.completeExceptionally(new IllegalStateException("the service does not start: " + said));
  }

  public String grpc() {
    return grpc;
  }

  /** A client of it, without TLS, and with time. */
  public KmsClient client() {
    return KmsClient.builder(grpc).insecure().deadline(PATIENCE).build();
  }

  /** The tenant's key set, as it is served. */
  public String keySet(String tenant) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create(http + "/api/kms/tenants/" + tenant + "/jwks.json")).build();
    return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
  }

  @Override
  public void close() {
    process.destroy();
    process.onExit().join();
  }
}
