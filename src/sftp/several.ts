/** Doing things side by side: most of the time is spent waiting for answers. @module */

/** Requests, files or directories under way at once. */
export const AHEAD = 16;

/** `act` of all `items`, in order, some at a time; the first failure ends it when those under way have ended. */
export async function mapSeveral<T, R>(
  items: readonly T[],
  act: (item: T, at: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const failures: unknown[] = [];
  let next = 0;
  const work = async () => {
    while (next < items.length && failures.length === 0) {
      const at = next++;
      try {
        results[at] = await act(items[at], at);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AHEAD }, work));
  if (failures.length > 0) throw failures[0];
  return results;
}
