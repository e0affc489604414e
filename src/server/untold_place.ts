/** Where a served tree lies is no business of those who are served. @module */
import type { BatchResult } from "../transport/receiver.ts";

/** Takes the path of `directory` out of a message: what is in it is named from there. */
export function withoutPlace(message: string, directory: string | undefined): string {
  if (directory === undefined) return message;
  // As it is, and as it stands in quotes.
  return [directory, JSON.stringify(directory).slice(1, -1)].reduce(
    (text, place) => text.replaceAll(`${place}/`, "").replaceAll(place, "."),
    message,
  );
}

/** The same for the problems of a batch. */
export function resultWithoutPlace(result: BatchResult, directory: string | undefined): BatchResult {
  if (directory === undefined || result.results.every(({ done }) => done)) return result;
  const results = result.results.map((one) =>
    one.done
      ? one
      : { done: one.done, problem: { ...one.problem, message: withoutPlace(one.problem.message, directory) } }
  );
  return { ...result, results };
}
