/** What is shown in place of a page that cannot be. @module */
import { type FilesyncError, nextStep } from "../../core/errors.ts";
import { visible } from "../../core/visible.ts";

/** Says what went wrong, and what to do next. */
export function ErrorPage({ error }: { error: FilesyncError }) {
  return (
    <div class="narrow card">
      <h1>{error.code === "indexing" ? "Not ready yet" : "That did not work"}</h1>
      <p class="alert bad" role="alert">{visible(error.message)}.</p>
      <p>{visible(nextStep(error))}.</p>
      <p>
        <a class="button" href="/">Back to the beginning</a>
      </p>
    </div>
  );
}
