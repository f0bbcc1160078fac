/** What is fuzzed: code that reads what strangers or operators write, and must answer each input in one of the ways that it has. */
import type { Random } from "../../crash/random.ts";

export interface Target {
  /** Makes an input from random numbers, so that the same ones make it again. */
  input(random: Random, number: number): Input;
  close(): void;
}

export interface Input {
  /** The input as text, for a report. */
  readonly shown: string;
  /** Gives it to the code. Resolves with the way it was answered; rejects for an answer that must never be. */
  run(): string | Promise<string>;
}

export interface TargetKind {
  /** Opens one that remembers nothing. */
  open(): Target | Promise<Target>;
  /** The way of answering that shows that inputs get far: so large a part of them must. */
  far: { way: string; atLeast: number };
}
