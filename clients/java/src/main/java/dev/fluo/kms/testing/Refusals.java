package dev.fluo.kms.testing;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Which calls a test wants refused. */
final class Refusals {
  static final List<String> RPCS =
      List.of("GenerateDataKey", "DecryptDataKey", "EncryptPii", "DecryptPii", "SignSpan", "VerifySpan");

  private final Map<String, Armed> armed = new ConcurrentHashMap<>();

  private record Armed(Reason reason, int times) {}

  void refuse(String rpc, String reason, int times) {
    if (times < 1) {
      throw new IllegalArgumentException("times is at least 1");
    }
    armed.put(known(rpc), new Armed(Reason.of(reason), times));
  }

  void allow(String rpc) {
    armed.remove(known(rpc));
  }

  /** Throws the refusal of a call, if there is one. */
  void check(String rpc) {
    Reason[] reason = new Reason[1];
    armed.computeIfPresent(
        rpc,
        (name, each) -> {
          reason[0] = each.reason;
          if (each.times == Integer.MAX_VALUE) {
            return each;
          }
          return each.times == 1 ? null : new Armed(each.reason, each.times - 1);
        });
    if (reason[0] != null) {
      throw Refusal.of(reason[0]);
    }
  }

  private static String known(String rpc) {
    if (!RPCS.contains(rpc)) {
      throw new IllegalArgumentException("the fake has no rpc " + rpc + "; it has " + String.join(", ", RPCS));
    }
    return rpc;
  }
}
