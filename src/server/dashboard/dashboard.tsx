/**
 * Pages for people, made on the server: they need no build, can be read without a script, and let in who has
 * a token. This is what all of them have in common; what they show are {@linkcode Section}s.
 *
 * @module
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { Clock } from "../../core/clock.ts";
import { FilesyncError, toFilesyncError } from "../../core/errors.ts";
import { addressOf, bearerOf, hostOf } from "../bearer_guard.ts";
import { type Access, forbidden, type Gate, isLoopbackHost, refused } from "../gate.ts";
import { statusOf } from "../problem_document.ts";
import { limitBody } from "../request_body.ts";
import { assetRoutes } from "./assets.ts";
import { ErrorPage } from "./error_page.tsx";
import { formOf } from "./form.ts";
import { Layout } from "./layout.tsx";
import { LoginPage } from "./login_page.tsx";
import { Logins } from "./logins.ts";
import { isOwn, isSurelyOwn } from "./same_origin.ts";
import type { Section, Shell, View } from "./section.ts";

/** Settings of {@linkcode createDashboard}. */
export interface DashboardOptions {
  /** What is served, as people call it. */
  name: string;
  /** The program's version. */
  version: string;
  clock: Clock;
  gate: Gate;
  /** In the order of the menu. One of them has the page `/`. */
  sections: readonly Section[];
  /** Told of failures that are no fault of the request. */
  onFailure?: (error: unknown) => void;
}

/** Pages take styles, scripts, pictures and updates from this server, forms go to it, and nothing else is allowed. */
const POLICY = ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"]
  .concat(
    ["style-src", "script-src", "img-src", "connect-src", "form-action"].map((what) => `${what} 'self'`),
  )
  .join("; ");

/** Most bytes of a form. */
const MAX_FORM_BYTES = 64 << 10;

const ACCESS = "access";

/** The application with all pages. */
export function createDashboard(options: DashboardOptions): Hono {
  const { name, version, clock, gate, sections } = options;
  const logins = new Logins(gate, clock);
  const menu = sections.flatMap(({ menu }) => menu);
  const limit = limitBody(MAX_FORM_BYTES, clock);

  /** What a request may do; `undefined` when who sent it has to log in. */
  function accessOf(c: Context): Access | undefined {
    const bearer = bearerOf(c);
    if (bearer !== undefined) return gate.admit(bearer, addressOf(c));
    if (gate.open && isLoopbackHost(hostOf(c))) return "change";
    const cookie = getCookie(c, cookieOf(c));
    return cookie === undefined ? undefined : logins.accessOf(cookie);
  }

  function show(c: Context, { title, section, live, status = 200, body }: View): Response {
    const access: Access | undefined = c.get(ACCESS);
    return page(
      c,
      status,
      (
        <Layout
          {...{ title, name, version, section, live }}
          menu={access === undefined ? [] : menu}
          canLogOut={access !== undefined && getCookie(c, cookieOf(c)) !== undefined}
          readOnly={access === "read"}
        >
          {body}
        </Layout>
      ),
    );
  }

  function showLogin(c: Context, to: string, error?: FilesyncError) {
    if (error?.retryAfter !== undefined) c.header("retry-after", String(Math.ceil(error.retryAfter / 1_000)));
    return page(
      c,
      error?.code === "too-many" ? 429 : 401,
      (
        <Layout {...{ title: "Log in", name, version }} menu={[]} canLogOut={false} readOnly={false}>
          <LoginPage to={to} error={error} />
        </Layout>
      ),
    );
  }

  const guard: MiddlewareHandler = async function guard(c, next) {
    if (!isOwn(c)) return show(c, foreignView(c));
    const access = accessOf(c);
    if (access === undefined) {
      if (c.req.method !== "GET") throw refused("it needs a login");
      const { pathname, search } = new URL(c.req.url);
      return showLogin(c, pathname + search);
    }
    c.set(ACCESS, gate.readOnly ? "read" : access);
    if (c.req.method !== "GET" && c.req.method !== "HEAD") {
      // A program that sends a token itself is no browser that was tricked.
      if (bearerOf(c) === undefined && !isSurelyOwn(c)) throw refused("no page of this server sent it");
      if (c.get(ACCESS) !== "change") throw forbidden(gate.readOnly);
      return await limit(c, next);
    }
    await next();
  };

  const shell: Shell = {
    guard,
    show,
    accessOf: (c) => c.get(ACCESS),
    isStillIn(c) {
      try {
        return accessOf(c) !== undefined;
      } catch {
        return false;
      }
    },
  };
  const app = new Hono();
  app.route("/", assetRoutes());
  for (const { routes } of sections) app.route("/", routes(shell));
  app.get("/login", (c) => showLogin(c, "/"));
  app.post("/login", limit, async (c) => {
    const { token, to } = await formOf(c);
    const target = localTarget(to);
    if (!isSurelyOwn(c)) return show(c, foreignView(c));
    try {
      const login = logins.begin(typeof token === "string" ? token.trim() : "", addressOf(c));
      const secure = isSecure(c);
      setCookie(c, cookieOf(c), login, { path: "/", httpOnly: true, sameSite: "Strict", secure });
      return c.redirect(target, 303);
    } catch (error) {
      if (error instanceof FilesyncError) return showLogin(c, target, error);
      throw error;
    }
  });
  app.post("/logout", limit, (c) => {
    if (!isSurelyOwn(c)) return show(c, foreignView(c));
    const cookie = getCookie(c, cookieOf(c));
    if (cookie !== undefined) logins.end(cookie);
    deleteCookie(c, cookieOf(c), { path: "/", secure: isSecure(c) });
    return c.redirect("/", 303);
  });
  app.onError((thrown, c) => {
    const error = toFilesyncError("show the page", thrown);
    const status = statusOf(error);
    if (status >= 500 && status !== 503) options.onFailure?.(thrown);
    if (error.retryAfter !== undefined) c.header("retry-after", String(Math.ceil(error.retryAfter / 1_000)));
    const view = { title: "Not possible", section: "", body: <ErrorPage error={error} /> };
    return show(c, { ...view, status: status as View["status"] });
  });
  return app;
}

function page(c: Context, status: number, document: unknown): Response {
  c.header("content-security-policy", POLICY);
  return c.html(`<!DOCTYPE html>${document}`, status as 200);
}

/** What another page's request is answered with: a way in that is our own. */
function foreignView(c: Context): View {
  const { pathname, search } = new URL(c.req.url);
  const to = c.req.method === "GET" ? pathname + search : "/";
  return {
    title: "From elsewhere",
    section: "",
    status: 403,
    body: (
      <div class="narrow card">
        <h1>You come from another site</h1>
        <p>Pages of other sites may lead here, but not go on in your name.</p>
        <p>
          <a class="button" href={to}>Go on to filesync</a>
        </p>
      </div>
    ),
  };
}

function isSecure(c: Context): boolean {
  return new URL(c.req.url).protocol === "https:";
}

/**
 * The cookie's name: other ports of this host share its cookies, so the port is in it. With the prefix browsers
 * take it from this host and over TLS only (RFC 6265bis).
 */
function cookieOf(c: Context): string {
  const name = `filesync-${/:(\d+)$/.exec(hostOf(c))?.[1] ?? "0"}`;
  return isSecure(c) ? `__Host-${name}` : name;
}

/** Where to go after a login: a page of this server, whatever was sent. */
function localTarget(to: unknown): string {
  if (typeof to !== "string" || !/^\/(?![/\\])/.test(to) || !URL.canParse(to, "http://here")) return "/";
  const url = new URL(to, "http://here");
  // Without `.` and `..` a path may begin with two slashes, and be another host.
  return url.host === "here" && !url.pathname.startsWith("//") ? url.pathname + url.search : "/";
}
