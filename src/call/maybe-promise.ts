/** A handler answers at once where it can: a promise costs more than a cached key. */
export type MaybePromise<T> = T | Promise<T>;

/** Not called `then`: a module that exports that name cannot be imported dynamically, because it looks like a promise. */
export function andThen<A, B>(answer: MaybePromise<A>, use: (value: A) => MaybePromise<B>): MaybePromise<B> {
  return answer instanceof Promise ? answer.then(use) : use(answer);
}

/** Runs `work`, and `end` once it has answered or failed: at once if it answers at once. */
export function endingWith<T>(work: () => MaybePromise<T>, end: () => void): MaybePromise<T> {
  let answer: MaybePromise<T>;
  try {
    answer = work();
  } catch (error) {
    end();
    throw error;
  }
  if (answer instanceof Promise) return answer.finally(end);
  end();
  return answer;
}
