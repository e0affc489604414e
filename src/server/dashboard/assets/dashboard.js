// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * What makes pages livelier; all of them can be read without it. Moments are shown in the reader's own time zone,
 * and parts that change are put in place as they come. What comes was made by the same code as the page itself.
 */

/** Shows moments as the reader's clock does; the title says them in UTC. */
function localize(/** @type {ParentNode} */ within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const moment = new Date(/** @type {HTMLTimeElement} */ (time).dateTime);
    const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
    const day = [moment.getFullYear(), two(moment.getMonth() + 1), two(moment.getDate())].join("-");
    const hour = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(":");
    const isAgo = time.hasAttribute("data-ago");
    /** @type {HTMLTimeElement} */ (time).title = isAgo
      ? `${day} ${hour}`
      : moment.toISOString().slice(0, 19).replace("T", " ") + " UTC";
    if (!isAgo) time.textContent = `${day} ${hour}`;
  }
}

localize(document);
const zone = document.querySelector("[data-zone]");
if (zone !== null) zone.textContent = `in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;

const source = document.body.dataset.live;
if (source !== undefined) keepCurrent(source);

/** Puts parts of the page in place as they come. */
function keepCurrent(/** @type {string} */ address) {
  const state = /** @type {HTMLElement} */ (document.querySelector("[data-live-state]"));
  const pause = /** @type {HTMLElement} */ (document.querySelector("[data-live-pause]"));
  /** Parts that wait: the reader has paused, or is at one of them. @type {Map<string, string>} */
  const waiting = new Map();
  let isPaused = false;

  const say = (/** @type {string} */ text, /** @type {string} */ tone) => {
    if (state.textContent !== text) state.textContent = text;
    state.className = `live-state ${tone}`;
  };
  const put = (/** @type {string} */ id, /** @type {string} */ html) => {
    const part = document.getElementById(id);
    if (part === null) return;
    if (isPaused || part.contains(document.activeElement)) return void waiting.set(id, html);
    part.innerHTML = html;
    localize(part);
  };
  const catchUp = () => {
    const parts = [...waiting];
    waiting.clear();
    for (const [id, html] of parts) put(id, html);
  };

  /** @type {EventSource | undefined} */
  let events;
  const listen = () => {
    const source = events = new EventSource(address);
    source.addEventListener("part", (event) => {
      const { id, html } = JSON.parse(event.data);
      waiting.delete(id);
      put(id, html);
    });
    source.addEventListener("open", () => isPaused || say("live", "good"));
    source.addEventListener("error", () => {
      const isOver = source.readyState === EventSource.CLOSED;
      say(isOver ? "not live: reload the page" : "not live: trying again", "bad");
    });
  };
  // A browser has few connections to one server, and pages that nobody sees should hold none.
  const follow = () => {
    events?.close();
    if (!document.hidden) listen();
  };
  document.addEventListener("visibilitychange", follow);
  follow();
  document.addEventListener("focusout", () => setTimeout(catchUp));
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Go on" : "Pause";
    say(isPaused ? "paused" : "live", isPaused ? "" : "good");
    catchUp();
  });
  state.hidden = pause.hidden = false;
}
