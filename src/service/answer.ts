/** A handler answers at once where it can: a promise costs more than a cached key. */
export type Answer<T> = T | Promise<T>;

export function then<A, B>(answer: Answer<A>, use: (value: A) => Answer<B>): Answer<B> {
  return answer instanceof Promise ? answer.then(use) : use(answer);
}
