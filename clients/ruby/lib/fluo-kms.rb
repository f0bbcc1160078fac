# frozen_string_literal: true

# Loads the gem under its own name, as Bundler does.
require "fluo/kms"
