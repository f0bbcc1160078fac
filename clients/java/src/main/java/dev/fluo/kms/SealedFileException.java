package dev.fluo.kms;

import java.io.IOException;

/**
 * Says that a sealed file is not what was sealed: it was changed or cut, or is opened for another tenant or context. One
 * error for all of it, because more would help whoever forges.
 */
public final class SealedFileException extends IOException {
  private static final long serialVersionUID = 1;

  SealedFileException() {
    super("the file is not what was sealed for this tenant and context, or its end is missing");
  }
}
