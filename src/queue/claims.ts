/** Which actions must wait for which, asked of many actions at once. @module */
import { type Action, pathsOf } from "../core/action.ts";
import { parentOf, ROOT, type TreePath } from "../core/path.ts";

/** How many actions touch a path, and how many touch something below it. */
interface Claim {
  fills: number;
  others: number;
  fillsBelow: number;
  othersBelow: number;
}

/**
 * A bag of actions that answers, in time proportional to the depth of a path,
 * whether any of them and a given action depend on each other: `dependOnEachOther` of
 * `core/action.ts`, over the whole bag.
 */
export class Claims {
  readonly #claims = new Map<TreePath, Claim>();

  add(action: Action): void {
    this.#count(action, 1);
  }

  /** Takes out an action that was added. */
  delete(action: Action): void {
    this.#count(action, -1);
  }

  /** Whether the order of `action` and one in the bag matters. */
  blocks(action: Action): boolean {
    const fill = isFill(action);
    return pathsOf(action).some((path) => {
      const here = this.#claims.get(path);
      if (here !== undefined) {
        if (here.fills + here.others + here.othersBelow > 0) return true;
        if (!fill && here.fillsBelow > 0) return true;
      }
      return ancestorsOf(path).some((ancestor) => {
        const above = this.#claims.get(ancestor);
        return above !== undefined && (above.others > 0 || (!fill && above.fills > 0));
      });
    });
  }

  #count(action: Action, by: 1 | -1): void {
    const fill = isFill(action);
    for (const path of pathsOf(action)) {
      const here = this.#claim(path);
      if (fill) here.fills += by;
      else here.others += by;
      this.#dropIfEmpty(path, here);
      for (const ancestor of ancestorsOf(path)) {
        const above = this.#claim(ancestor);
        if (fill) above.fillsBelow += by;
        else above.othersBelow += by;
        this.#dropIfEmpty(ancestor, above);
      }
    }
  }

  #claim(path: TreePath): Claim {
    let claim = this.#claims.get(path);
    if (claim === undefined) {
      claim = { fills: 0, others: 0, fillsBelow: 0, othersBelow: 0 };
      this.#claims.set(path, claim);
    }
    return claim;
  }

  #dropIfEmpty(path: TreePath, { fills, others, fillsBelow, othersBelow }: Claim): void {
    if (fills + others + fillsBelow + othersBelow === 0) this.#claims.delete(path);
  }
}

/** The directories above `path`, nearest first, without the root, which no action names. */
export function ancestorsOf(path: TreePath): TreePath[] {
  const ancestors: TreePath[] = [];
  for (let above = parentOf(path); above !== ROOT; above = parentOf(above)) ancestors.push(above);
  return ancestors;
}

/** Whether `action` makes something stand at its path without looking at another. */
export function isFill(action: Action): action is Exclude<Action, { type: "remove" | "move" }> {
  return action.type !== "remove" && action.type !== "move";
}
