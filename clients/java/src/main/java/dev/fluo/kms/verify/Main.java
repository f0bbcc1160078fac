package dev.fluo.kms.verify;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The command {@code verify --keys FILE [--tenant T] [--vkey V]… [--json] SPANS_FILE}. Prints a line for each span. Exits
 * with 0 if all verify, with 1 if one does not or there is none, with 2 for wrong usage.
 */
public final class Main {
  private static final String USAGE =
      "usage: verify --keys FILE [--tenant TENANT] [--vkey VKEY]... [--json] SPANS_FILE";

  private String keysFile;
  private String tenant;
  private final List<String> vkeys = new ArrayList<>();
  private boolean isJson;
  private String spansFile;

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
      err.println("verify: " + Report.oneLine(e.getMessage()));
      return 2;
    } catch (KeySetException | NotAnExportException e) {
      err.println("verify: " + Report.oneLine(e.getMessage()));
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
    if (arguments.contains("--help")) {
      out.println(USAGE);
      return 0;
    }
    read(arguments);
    KeySet keys = KeySet.parse(new String(bytes(keysFile), StandardCharsets.UTF_8));
    for (String vkey : vkeys) {
      VerifierKey key = VerifierKey.parse(vkey);
      if (key == null) {
        throw new Usage("--vkey is NAME+ID+KEY, as the keys file has them");
      }
      if (!keys.has(key)) {
        throw new KeySetException("the keys file has no key " + vkey);
      }
    }
    keys = vkeys.isEmpty() ? keys : keys.trusting(vkeys);
    List<Verdict> verdicts = new Verifier(keys).verifyExport(bytes(spansFile), tenant);
    out.print(isJson ? Report.json(verdicts) : Report.lines(verdicts));
    return !verdicts.isEmpty() && verdicts.stream().allMatch(Verdict::verified) ? 0 : 1;
  }

  private void read(List<String> arguments) throws Usage {
    List<String> operands = new ArrayList<>();
    boolean onlyOperands = false;
    for (int i = 0; i < arguments.size(); i++) {
      String argument = arguments.get(i);
      if (onlyOperands || !argument.startsWith("-") || argument.equals("-")) {
        operands.add(argument);
        continue;
      }
      if (argument.equals("--")) {
        onlyOperands = true;
        continue;
      }
      int equals = argument.indexOf('=');
      String name = equals < 0 ? argument : argument.substring(0, equals);
      Optional<String> value = equals < 0 ? Optional.empty() : Optional.of(argument.substring(equals + 1));
      if (name.equals("--json") && value.isEmpty()) {
        isJson = true;
        continue;
      }
      if (!List.of("--keys", "--tenant", "--vkey").contains(name)) {
        throw new Usage("there is no option " + name + "\n" + USAGE);
      }
      if (value.isEmpty() && i + 1 == arguments.size()) {
        throw new Usage(name + " needs a value\n" + USAGE);
      }
      option(name, value.isPresent() ? value.get() : arguments.get(++i));
    }
    if (keysFile == null) {
      throw new Usage("verify needs --keys FILE\n" + USAGE);
    }
    if (operands.size() != 1) {
      throw new Usage("verify needs one SPANS_FILE\n" + USAGE);
    }
    spansFile = operands.get(0);
  }

  private void option(String name, String value) throws Usage {
    boolean isTwice = name.equals("--keys") && keysFile != null || name.equals("--tenant") && tenant != null;
    if (isTwice) {
      throw new Usage(name + " is there twice");
    }
    switch (name) {
      case "--keys" -> keysFile = value;
      case "--tenant" -> tenant = value;
      default -> vkeys.add(value);
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
