# frozen_string_literal: true

# Runs what clients/conformance/README.md asks of a program: `ruby main.rb COMMAND WORLD.json`.

require "json"
require "fluo-kms"
require_relative "check"
require_relative "produce"
require_relative "pushback"
require_relative "report"
require_relative "world"

COMMANDS = { "check" => Check, "produce" => Produce, "pushback" => Pushback }.freeze

name, path = ARGV
command = COMMANDS[name]
abort "usage: ruby main.rb #{COMMANDS.keys.join("|")} WORLD.json" if command.nil? || path.nil? || ARGV.length > 2

report = Report.new
begin
  command.new(World.new(JSON.parse(File.read(path, encoding: "UTF-8"))), report).run
rescue StandardError => e
  report.fail(name, "#{e.class}: #{e.message}")
end
exit report.finish
