package dev.fluo.kms.conformance;

import com.google.gson.JsonObject;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.SealedFiles;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;

/** {@code seal-stream} and {@code open-stream}: a file as a stream, and the memory that it takes. */
final class Streams {
  private static final int BUFFER_BYTES = 64 * 1024;
  private static final Path STATUS = Path.of("/proc/self/status");

  private Streams() {}

  static void seal(World world, Checks checks) throws Exception {
    measured(world, SealedFiles::sealStream);
    checks.that(true, "sealed", "");
  }

  static void open(World world, Checks checks) throws Exception {
    measured(world, SealedFiles::openStream);
    checks.that(true, "opened", "");
  }

  private interface Call {
    void run(KmsClient client, String tenant, InputStream from, OutputStream to, Map<String, String> context)
        throws IOException;
  }

  private static void measured(World world, Call call) throws Exception {
    String tenant = world.text("tenant");
    Map<String, String> context = world.map("context");
    try (KmsClient client = world.client();
        InputStream from = new BufferedInputStream(Files.newInputStream(world.path("from")), BUFFER_BYTES);
        OutputStream to = new BufferedOutputStream(Files.newOutputStream(world.path("to")), BUFFER_BYTES)) {
      ByteArrayOutputStream sealed = new ByteArrayOutputStream();
      SealedFiles.sealStream(client, tenant, new ByteArrayInputStream(new byte[BUFFER_BYTES]), sealed, context);
      SealedFiles.openStream(
          client, tenant, new ByteArrayInputStream(sealed.toByteArray()), OutputStream.nullOutputStream(), context);
      forgetPeak();
      long before = statusBytes("VmRSS");
      call.run(client, tenant, from, to, context);
      JsonObject out = new JsonObject();
      out.addProperty("language", "java");
      out.addProperty("peakGrowthBytes", Math.max(0, statusBytes("VmHWM") - before));
      Files.writeString(world.path("out"), out.toString());
    }
  }

  /** Has VmHWM begin at what is resident now, where the system allows it. */
  private static void forgetPeak() {
    try {
      Files.writeString(Path.of("/proc/self/clear_refs"), "5");
    } catch (IOException e) {
      // The peak of before counts too, then.
    }
  }

  private static long statusBytes(String name) throws IOException {
    try (Stream<String> lines = Files.lines(STATUS)) {
      String line = lines.filter(each -> each.startsWith(name + ":")).findFirst().orElseThrow();
      return 1024 * Long.parseLong(line.replaceAll("[^0-9]", ""));
    }
  }
}
