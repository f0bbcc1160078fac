# frozen_string_literal: true

# Counts checks and prints the ones that fail.
class Report
  def initialize
    @passed = 0
    @failed = 0
  end

  def check(what, actual, expected)
    return @passed += 1 if actual == expected

    fail(what, "#{actual.inspect}, not #{expected.inspect}")
  end

  # Expects a call to end with a status, and returns its error.
  def refused(what, code)
    yield
    fail(what, "answered")
  rescue GRPC::BadStatus => e
    check(what, e.code, code)
    e
  end

  def fail(what, why)
    @failed += 1
    puts "FAIL #{what}: #{why}"
    nil
  end

  # Prints the sum, and returns whether nothing failed.
  def finish
    puts "#{@passed} passed, #{@failed} failed"
    @failed.zero?
  end
end
