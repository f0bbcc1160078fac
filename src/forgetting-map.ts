/**
 * A map of what is under way, to large values that come and go. When a Map is tidied up it leaves its table behind, with all that was in it
 * and a link to the next one; once one of these is old to V8, young collections keep all that follow, and every value that was in them,
 * until a collection of the whole heap. Here such a table has nothing left but empty places.
 */
export class ForgettingMap<K, V> {
  readonly #places = new Map<K, { value: V | undefined }>();

  get size(): number {
    return this.#places.size;
  }

  get(key: K): V | undefined {
    return this.#places.get(key)?.value;
  }

  set(key: K, value: V): this {
    this.#places.set(key, { value });
    return this;
  }

  delete(key: K): boolean {
    const place = this.#places.get(key);
    if (place !== undefined) place.value = undefined;
    return this.#places.delete(key);
  }

  *values(): IterableIterator<V> {
    for (const { value } of this.#places.values()) yield value as V;
  }

  forEach(use: (value: V, key: K) => void): void {
    for (const [key, { value }] of this.#places) use(value as V, key);
  }

  clear(): void {
    for (const place of this.#places.values()) place.value = undefined;
    this.#places.clear();
  }
}
