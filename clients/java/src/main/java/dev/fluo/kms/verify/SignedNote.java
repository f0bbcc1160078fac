package dev.fluo.kms.verify;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * C2SP signed-note: a text that ends in a line feed, an empty line, and a line {@code — <name> <base64 of key id ‖
 * signature>} for each signature, which is over the text. Signatures of other kinds and keys may stand beside ours.
 *
 * @param whole as it was given
 * @param text what is signed
 * @param signatures at least one, none of which is verified
 */
record SignedNote(String whole, String text, List<NoteSignature> signatures) {
  private static final int MOST_UNITS = 128 * 1024;
  private static final int MOST_SIGNATURES = 64;
  private static final int KEY_ID_BYTES = 4;
  private static final Pattern SIGNATURE = Pattern.compile("— ([^\\n\\r\u2028\u2029\u0085]+) ([^\\s]+)");

  /** @param id name and key id, by which a note tells keys apart */
  record NoteSignature(String id, byte[] signature) {}

  /** Returns null for what is not a note: the form alone is looked at. */
  static SignedNote parse(String note) {
    // The last empty line divides: the text may have some, too.
    int end = note.lastIndexOf("\n\n");
    if (note.length() > MOST_UNITS || end < 0 || !note.endsWith("\n") || !isText(note)) {
      return null;
    }
    if (end + 2 > note.length() - 1) {
      return null;
    }
    String[] lines = note.substring(end + 2, note.length() - 1).split("\n", -1);
    if (lines.length > MOST_SIGNATURES) {
      return null;
    }
    List<NoteSignature> signatures = new ArrayList<>();
    for (String line : lines) {
      NoteSignature signature = parseSignature(line);
      if (signature == null) {
        return null;
      }
      signatures.add(signature);
    }
    return new SignedNote(note, note.substring(0, end + 1), signatures);
  }

  /**
   * Returns the notes of a text, one or several one behind the other; none where it holds anything else. A file that
   * passed through Windows may have its line ends and a byte order mark; what was signed has neither.
   */
  static List<SignedNote> parseAll(String content) {
    String text = JsonText.withoutMark(content).replace("\r\n", "\n");
    List<SignedNote> notes = new ArrayList<>();
    for (int at = 0; at < text.length(); ) {
      int start = at;
      int body = linesFrom(text, at, false);
      boolean isDivided = body > at && text.startsWith("\n", body);
      int end = isDivided ? linesFrom(text, body + 1, true) : -1;
      SignedNote note = end > body + 1 ? parse(trimmed(text.substring(start, end)) + "\n") : null;
      if (note == null) {
        return List.of();
      }
      notes.add(note);
      for (at = end; at < text.length() && isSpace(text.charAt(at)); ) {
        at++;
      }
    }
    return notes;
  }

  /** Passes over whole lines that are signatures, or that are neither signatures nor empty. Returns where they end. */
  private static int linesFrom(String text, int from, boolean isSignature) {
    int at = from;
    for (int end = text.indexOf('\n', at); end > at; end = text.indexOf('\n', at)) {
      String line = text.substring(at, end);
      boolean isOther = line.startsWith("— ") != isSignature || line.equals("— ");
      if (isOther || line.chars().anyMatch(unit -> unit == '\r' || unit == '\u2028' || unit == '\u2029')) {
        break;
      }
      at = end + 1;
    }
    return at;
  }

  private static String trimmed(String text) {
    int end = text.length();
    while (end > 0 && isSpace(text.charAt(end - 1))) {
      end--;
    }
    return text.substring(0, end);
  }

  /** What ECMAScript calls white space. */
  private static boolean isSpace(char unit) {
    return unit >= '\t' && unit <= '\r'
        || Character.getType(unit) == Character.SPACE_SEPARATOR
        || unit == '\u2028'
        || unit == '\u2029'
        || unit == '\ufeff';
  }

  /** Text without lone surrogates, and without ASCII's control characters except line feeds. */
  private static boolean isText(String note) {
    return note.codePoints()
        .noneMatch(point -> point < 0x20 && point != '\n' || point >= 0xd800 && point <= 0xdfff);
  }

  private static NoteSignature parseSignature(String line) {
    Matcher parts = SIGNATURE.matcher(line);
    byte[] bytes = parts.matches() ? Base64Text.decode(parts.group(2)) : null;
    if (bytes == null || bytes.length <= KEY_ID_BYTES || !VerifierKey.isName(parts.group(1))) {
      return null;
    }
    String keyId = HexFormat.of().formatHex(bytes, 0, KEY_ID_BYTES);
    return new NoteSignature(parts.group(1) + " " + keyId, Arrays.copyOfRange(bytes, KEY_ID_BYTES, bytes.length));
  }

  /**
   * Returns those of the keys that signed, none if others alone did; null where a signature of one of them does not
   * hold, which spoils the note. Of several signatures by one key the first counts.
   */
  List<LogKey> signers(List<LogKey> keys) {
    // Ids are of four bytes, so several keys may have one by chance.
    Map<String, List<LogKey>> unseen = new HashMap<>();
    for (LogKey key : keys) {
      unseen.computeIfAbsent(key.name() + " " + key.verifierKey().id(), id -> new ArrayList<>()).add(key);
    }
    byte[] message = text.getBytes(StandardCharsets.UTF_8);
    List<LogKey> signers = new ArrayList<>();
    for (NoteSignature each : signatures) {
      List<LogKey> named = unseen.remove(each.id);
      if (named == null) {
        continue;
      }
      LogKey signer = null;
      for (LogKey key : named) {
        if (signer == null && Ed25519.verifies(key.key().publicKey(), each.signature, message)) {
          signer = key;
        }
      }
      if (signer == null) {
        return null;
      }
      signers.add(signer);
    }
    return signers;
  }
}
