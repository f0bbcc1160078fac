package dev.fluo.kms.verify;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The command {@code verify}, which says what {@code fluo-kms verify} says. Exits with 0 if all spans verify, with
 * {@code --log} if they are all of their logs' too; with 1 if not, or if there is none; with 2 for wrong usage.
 */
public final class Main {
  private static final String USAGE =
      """
      usage: verify --keys FILE [--tenant TENANT] [--vkey VKEY]... [--json] SPANS_FILE
             verify --log [--checkpoint FILE]... [--from SIZE] [--to SIZE] [--any-order] --keys FILE ... SPANS_FILE""";

  private static final String HELP =
      """

      Verifies signed spans offline. SPANS_FILE is an OTLP trace export: protobuf, JSON, or JSON lines.

        --keys FILE        the tenant's public keys, as /api/kms/tenants/{tenant}/jwks.json serves them
        --tenant TENANT    who must have signed; without it, whom each span names
        --vkey VKEY        trust this key alone, and those that it hands over to; may be given several times
        --log              check that the spans are all of the log's, in its order, from the first to the last
        --checkpoint FILE  with --log: checkpoints that you kept, one or several in a file; may be given several times
        --from SIZE        with --log: begin behind the first SIZE entries
        --to SIZE          with --log: end with the first SIZE entries
        --any-order        with --log: the file is in no order, as from a store that keeps none
        --json             print JSON
        --help             print this help

      Exits with 0 when every span verifies, and with --log none is missing, repeated, out of order or rewritten; 1 when
      not, or when there is no span; 2 for wrong usage.""";

  private static final List<String> FLAGS = List.of("--json", "--log", "--any-order");
  private static final List<String> VALUES = List.of("--keys", "--tenant", "--from", "--to");
  private static final List<String> REPEATABLE = List.of("--vkey", "--checkpoint");
  private static final List<String> ONLY_OF_LOGS = List.of("--checkpoint", "--from", "--to", "--any-order");

  /** Values by option; a flag has an empty one. */
  private final Map<String, List<String>> options = new HashMap<>();

  private final List<String> operands = new ArrayList<>();

  private Main() {}

  /** Runs the command and ends the process with its exit code. */
  public static void main(String[] arguments) {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    PrintStream err = new PrintStream(System.err, true, StandardCharsets.UTF_8);
    int code = run(arguments, out, err);
    out.flush();
    System.exit(code);
  }

  /** Runs the command; returns its exit code. */
  static int run(String[] arguments, PrintStream out, PrintStream err) {
    try {
      return new Main().verify(List.of(arguments), out);
    } catch (Usage e) {
      err.println("verify: " + Printed.oneLine(e.getMessage()));
      err.println(USAGE);
      return 2;
    } catch (KeySetException | LogException | NotAnExportException e) {
      if (List.of(arguments).contains("--json")) {
        // Standard output holds one JSON document, also of what went wrong.
        Map<String, Object> failure = new LinkedHashMap<>();
        failure.put("code", "FAILED");
        failure.put("message", e.getMessage());
        failure.put("fields", List.of());
        Printed printed = new Printed();
        printed.json(failure);
        out.print(printed);
      } else {
        err.println("verify: " + Printed.oneLine(e.getMessage()));
      }
      return 1;
    }
  }

  private static final class Usage extends Exception {
    private static final long serialVersionUID = 1;

    Usage(String message) {
      super(message, null, false, false);
    }
  }

  private int verify(List<String> arguments, PrintStream out) throws Usage {
    if (arguments.contains("--help") || arguments.contains("-h")) {
      out.println(USAGE);
      out.println(HELP);
      return 0;
    }
    read(arguments);
    LogOptions scope = scope();
    Verifier verifier = new Verifier(keys());
    byte[] spans = bytes(operands.get(0));
    Performed performed = performed();
    Printed printed = new Printed();
    boolean ok;
    if (options.containsKey("--log")) {
      LogOptions asked = scope;
      for (String file : values("--checkpoint")) {
        asked = asked.withCheckpoint(file, new String(bytes(file), StandardCharsets.UTF_8));
      }
      LogReport report = verifier.verifyLog(spans, asked);
      ok = report.ok();
      LogsReport text = new LogsReport(report, performed);
      if (isJson()) {
        printed.json(text.json());
      } else {
        text.print(printed);
      }
    } else {
      SpansReport report = new SpansReport(verifier.judge(spans, scope.tenant()), performed);
      ok = report.ok();
      if (isJson()) {
        printed.json(report.json());
      } else {
        report.print(printed);
      }
    }
    out.print(printed);
    return ok ? 0 : 1;
  }

  private Performed performed() {
    return new Performed(
        options.containsKey("--log"),
        !options.containsKey("--any-order"),
        options.containsKey("--checkpoint"),
        options.containsKey("--vkey"));
  }

  private boolean isJson() {
    return options.containsKey("--json");
  }

  private List<String> values(String name) {
    return options.getOrDefault(name, List.of());
  }

  /** Returns null where the option is not there. */
  private String value(String name) {
    List<String> values = values(name);
    return values.isEmpty() ? null : values.get(0);
  }

  private LogOptions scope() throws Usage {
    for (String name : ONLY_OF_LOGS) {
      if (options.containsKey(name) && !options.containsKey("--log")) {
        throw new Usage(name + " is for --log");
      }
    }
    LogOptions scope = new LogOptions().withTenant(value("--tenant"));
    scope = options.containsKey("--from") ? scope.withFrom(size("--from")) : scope;
    scope = options.containsKey("--to") ? scope.withTo(size("--to")) : scope;
    if (scope.from().isPresent() && scope.to().isPresent() && scope.from().getAsLong() >= scope.to().getAsLong()) {
      throw new Usage("--from must be below --to");
    }
    return options.containsKey("--any-order") ? scope.withAnyOrder() : scope;
  }

  private long size(String name) throws Usage {
    long size = Checkpoint.parseIndex(value(name));
    if (size < 0) {
      throw new Usage(name + " is a number of entries");
    }
    return size;
  }

  private KeySet keys() throws Usage {
    String text = Utf8.decode(bytes(value("--keys")));
    if (text == null) {
      throw new KeySetException("the keys file is not UTF-8; save what /api/kms/tenants/{tenant}/jwks.json answers");
    }
    KeySet keys = KeySet.parse(text);
    List<String> vkeys = values("--vkey");
    for (String vkey : vkeys) {
      VerifierKey key = VerifierKey.parse(vkey);
      if (key == null) {
        throw new Usage("--vkey is NAME+ID+KEY, as the keys file has them");
      }
      if (!keys.has(key)) {
        throw new KeySetException("the keys file has no key " + vkey);
      }
    }
    return vkeys.isEmpty() ? keys : keys.trusting(vkeys);
  }

  private void read(List<String> arguments) throws Usage {
    for (int i = 0; i < arguments.size(); i++) {
      String argument = arguments.get(i);
      if (argument.equals("--")) {
        operands.addAll(arguments.subList(i + 1, arguments.size()));
        break;
      }
      if (!argument.startsWith("-") || argument.equals("-")) {
        operands.add(argument);
        continue;
      }
      String[] parts = argument.split("=", 2);
      String name = parts[0];
      if (FLAGS.contains(name) && parts.length == 1) {
        options.put(name, List.of());
        continue;
      }
      if (!VALUES.contains(name) && !REPEATABLE.contains(name)) {
        throw new Usage("there is no option " + argument);
      }
      if (parts.length == 1 && i + 1 == arguments.size()) {
        throw new Usage(name + " needs a value");
      }
      if (VALUES.contains(name) && options.containsKey(name)) {
        throw new Usage(name + " is there twice");
      }
      options.computeIfAbsent(name, each -> new ArrayList<>()).add(parts.length == 2 ? parts[1] : arguments.get(++i));
    }
    if (!options.containsKey("--keys")) {
      throw new Usage("verify needs --keys FILE");
    }
    if (operands.size() != 1) {
      throw new Usage("verify needs one SPANS_FILE");
    }
  }

  private static byte[] bytes(String file) throws Usage {
    try {
      return Files.readAllBytes(Path.of(file));
    } catch (IOException | InvalidPathException e) {
      throw new Usage(file + " cannot be read");
    }
  }
}
