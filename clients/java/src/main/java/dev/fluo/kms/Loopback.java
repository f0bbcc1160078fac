package dev.fluo.kms;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Whether a target is this machine by its own text, without asking anybody. */
final class Loopback {
  private static final Pattern TARGET =
      Pattern.compile("(?:(?:dns|passthrough):///|ipv[46]:)?(\\[[0-9a-fA-F:.]+\\]|[^:/\\[\\]]+)(?::[0-9]+)?");
  private static final Pattern IPV4 = Pattern.compile("127(?:\\.(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}");

  private Loopback() {}

  static boolean isTarget(String target) {
    Matcher parts = TARGET.matcher(target);
    if (!parts.matches()) {
      return false;
    }
    String host = parts.group(1);
    return host.equalsIgnoreCase("localhost") || host.equals("[::1]") || IPV4.matcher(host).matches();
  }
}
