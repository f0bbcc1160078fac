package dev.fluo.kms.conformance;

import java.nio.file.Path;
import java.time.Duration;

/** {@code conformance COMMAND WORLD.json}: see clients/conformance/README.md. */
public final class Main {
  /** Deadline of calls: a machine that is busy is not at fault. */
  static final Duration PATIENCE = Duration.ofSeconds(120);

  private static final int MOST_SHOWN = 20;

  private Main() {}

  /** Exits with 1 if something failed. */
  public static void main(String[] arguments) throws Exception {
    if (arguments.length != 2) {
      System.err.println("usage: conformance COMMAND WORLD.json");
      System.exit(2);
    }
    String command = arguments[0];
    Checks checks = new Checks(command.equals("judge") ? MOST_SHOWN : Integer.MAX_VALUE);
    World world = World.read(Path.of(arguments[1]));
    checks.step(command, () -> run(command, world, checks));
    System.exit(checks.finish());
  }

  private static void run(String command, World world, Checks checks) throws Exception {
    switch (command) {
      case "produce" -> Produce.run(world, checks);
      case "check" -> Check.run(world, checks);
      case "judge" -> Judge.run(world, checks);
      case "identities" -> Identities.run(world, checks);
      case "pushback" -> Pushback.run(world, checks);
      case "resume" -> Resume.run(world, checks);
      case "export" -> Export.run(world, checks);
      case "flush" -> Flush.run(world, checks);
      case "seal-stream" -> Streams.seal(world, checks);
      case "open-stream" -> Streams.open(world, checks);
      case "fake" -> Fake.run(world, checks);
      default -> throw new IllegalArgumentException("there is no command " + command);
    }
  }
}
