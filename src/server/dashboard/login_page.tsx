/** The page where a browser is let in. @module */
import { type FilesyncError, nextStep } from "../../core/errors.ts";

/** Asks for the token, and goes to `to` then. */
export function LoginPage({ to, error }: { to: string; error?: FilesyncError }) {
  return (
    <div class="narrow card">
      <h1>Log in</h1>
      <p>
        The token is what <code>filesync serve</code> printed at its first start; it lies in{" "}
        <code>.filesync/token</code> of the served directory.
      </p>
      {error === undefined ? "" : (
        <p class="alert bad" role="alert" id="login-error">
          {error.message}. {nextStep(error)}.
        </p>
      )}
      <form method="post" action="/login" class="stack">
        <input type="hidden" name="to" value={to} />
        <label for="token">Token</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="current-password"
          required
          autofocus
          aria-describedby={error === undefined ? undefined : "login-error"}
        />
        <button type="submit">Log in</button>
      </form>
      <p class="note">With the token for reading you see everything, and change nothing.</p>
    </div>
  );
}
