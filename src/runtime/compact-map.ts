/**
 * A map of what is under way, a few hundred at a time, to large values that come and go. When a Map is tidied up it leaves its table behind,
 * with all that was in it and a link to the next one; once one of these is old to V8, young collections keep all that follow, and every value
 * that was in them, until a collection of the whole heap. Two arrays leave nothing behind.
 */
export class ForgettingMap<V> {
  readonly #keys: number[] = [];
  readonly #values: V[] = [];

  get size(): number {
    return this.#keys.length;
  }

  get(key: number): V | undefined {
    return this.#values[this.#keys.indexOf(key)];
  }

  /** `key` is one that is not there. */
  set(key: number, value: V): void {
    this.#keys.push(key);
    this.#values.push(value);
  }

  delete(key: number): boolean {
    const at = this.#keys.indexOf(key);
    if (at < 0) return false;
    const [lastKey, lastValue] = [this.#keys.pop()!, this.#values.pop()!];
    if (at < this.size) {
      this.#keys[at] = lastKey;
      this.#values[at] = lastValue;
    }
    return true;
  }

  /** Of what there is now, in no order: `use` may add and delete. */
  forEach(use: (value: V) => void): void {
    for (const value of this.values()) use(value);
  }

  values(): V[] {
    return [...this.#values];
  }

  clear(): void {
    this.#keys.length = 0;
    this.#values.length = 0;
  }
}
