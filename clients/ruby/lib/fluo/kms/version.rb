# frozen_string_literal: true

module Fluo
  module Kms
    # The gem's version, which is the service's.
    VERSION = "0.2.0"
  end
end
