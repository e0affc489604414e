/** Where a path lies, a link for each directory above it. @module */
import { nameOf, parentOf, ROOT, type TreePath } from "../../core/path.ts";
import { Foreign } from "./parts.tsx";
import { link } from "./section.ts";

/** The way from the top to `path`. */
export function Breadcrumbs({ path, at, top }: { path: TreePath; at?: string; top: string }) {
  const above: TreePath[] = [];
  for (let next = path; next !== ROOT; next = parentOf(next)) above.unshift(next);
  return (
    <nav aria-label="Path" class="crumbs">
      <ol>
        <li>
          <a href={link("/tree", { at })} aria-current={path === ROOT ? "page" : undefined}>
            <Foreign text={top} />
          </a>
        </li>
        {above.map((one) => (
          <li>
            {one === path
              ? (
                <span aria-current="page">
                  <Foreign text={nameOf(one)} />
                </span>
              )
              : (
                <a href={link("/tree", { path: one, at })}>
                  <Foreign text={nameOf(one)} />
                </a>
              )}
          </li>
        ))}
      </ol>
    </nav>
  );
}
