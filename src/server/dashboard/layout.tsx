/** What all pages have around them. @module */
import type { Child } from "hono/jsx";
import { visible } from "../../core/visible.ts";
import type { MenuItem } from "./section.ts";
import { ICON, SCRIPT, STYLES } from "./assets.ts";

/** What {@linkcode Layout} needs. */
export interface LayoutOptions {
  title: string;
  /** What is served, as people call it. */
  name: string;
  version: string;
  menu: readonly MenuItem[];
  /** The address in the menu that the page belongs to. */
  section?: string;
  /** Where its parts come from when they change. */
  live?: string;
  /** Whether there is a login that can be ended. */
  canLogOut: boolean;
  readOnly: boolean;
  children?: Child;
}

/** The document. */
export function Layout(options: LayoutOptions) {
  const { title, name, version, menu, section, live, canLogOut, readOnly, children } = options;
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        {/* Without a referrer at all a browser hides where its own forms come from. */}
        <meta name="referrer" content="same-origin" />
        <title>{visible(`${title} · ${name} · filesync`)}</title>
        <link rel="stylesheet" href={STYLES.href} />
        <link rel="icon" type="image/svg+xml" href={ICON.href} />
        <script src={SCRIPT.href} defer></script>
      </head>
      <body data-live={live}>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <a class="brand" href="/">
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <path d="M4 8h13l-3.5-3.5M20 16H7l3.5 3.5" />
            </svg>
            filesync
          </a>
          {menu.length === 0 ? "" : (
            <nav class="menu" aria-label="Main">
              {menu.map(({ label, href }) => (
                <a href={href} aria-current={href === section ? "page" : undefined}>{label}</a>
              ))}
            </nav>
          )}
          <div class="who">
            {readOnly ? <span class="badge plain">read-only</span> : ""}
            {live === undefined ? "" : (
              <>
                <span class="live-state" role="status" data-live-state="" hidden></span>
                <button type="button" class="quiet" data-live-pause="" hidden>Pause</button>
              </>
            )}
            {canLogOut
              ? (
                <form method="post" action="/logout">
                  <button type="submit" class="quiet">Log out</button>
                </form>
              )
              : ""}
          </div>
        </header>
        <main id="main" tabindex={-1}>{children}</main>
        <footer class="foot">
          <span>filesync {visible(version)}</span>
          <span>
            Times are <span data-zone="">in UTC</span>
          </span>
        </footer>
      </body>
    </html>
  );
}
