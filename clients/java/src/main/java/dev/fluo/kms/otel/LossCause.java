package dev.fluo.kms.otel;

/** Why spans did not come to the backend. */
public enum LossCause {
  /** The queue had no room within the timeout. */
  QUEUE_FULL("queue-full"),
  /** Service or backend did not take them within the timeout, and there is no queue. */
  TIMEOUT("timeout"),
  /** Service or backend refuse the batch that they were in for good; or the service the spans, and these are dropped. */
  REJECTED("rejected"),
  /** Service or backend did not take them within the delivery age. */
  UNDELIVERABLE("undeliverable"),
  /** The exporter was shut down before. */
  SHUTDOWN("shutdown");

  private final String word;

  LossCause(String word) {
    this.word = word;
  }

  /** Returns the word for it in logs, which is that of all fluo-kms clients. */
  public String word() {
    return word;
  }
}
