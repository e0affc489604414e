/** How much comes now, and what came since the server started. @module */
import { count, formatBytes } from "../../core/amounts.ts";
import type { Activity } from "../activity.ts";
import type { Amounts } from "../rate_series.ts";
import { AreaChart } from "./charts.tsx";
import { Bar, Bytes, Facts, Nothing, Time } from "./parts.tsx";

/** Bytes that came by the second, or by the quarter of an hour. */
export function Throughput({ activity, now }: { activity: Activity; now: number }) {
  const { received, stored, changes } = activity.rate;
  // Without the present second, which has not ended.
  const recent = smooth(activity.seconds.values(now)).slice(0, -1);
  const most = peakOf(recent);
  const day = activity.quarters.values(now);
  return (
    <>
      <Bar share={received / Math.max(1, most)} label={`${formatBytes(Math.round(received))} a second now`} />
      <p class="figures">
        <span>
          <i class="key received"></i>received <b>{formatBytes(Math.round(received))}/s</b>
        </span>
        <span>
          <i class="key stored"></i>files put <b>{formatBytes(Math.round(stored))}/s</b>
        </span>
        <span>
          <b>{changes >= 10 || changes === 0 ? Math.round(changes) : changes.toFixed(1)}</b> changes/s
        </span>
      </p>
      <Areas amounts={recent} most={most} unit="second" from="5 minutes ago" />
      <Areas amounts={day} most={peakOf(day)} unit="quarter of an hour" from="24 hours ago" />
    </>
  );
}

function Areas(
  { amounts, most, unit, from }: { amounts: readonly Amounts[]; most: number; unit: string; from: string },
) {
  const sum = amounts.reduce((sum, { received }) => sum + received, 0);
  const title = `Received since ${from}: ${formatBytes(Math.round(sum))}, at most ${
    formatBytes(Math.round(most))
  } a ${unit}`;
  return (
    <figure class="over-time">
      <figcaption>
        <span>{from}</span>
        <span>most: {formatBytes(Math.round(most))} a {unit}</span>
        <span>now</span>
      </figcaption>
      <AreaChart
        title={title}
        most={most}
        series={[
          { className: "stored", values: amounts.map(({ stored }) => stored) },
          { className: "received", values: amounts.map(({ received }) => received) },
        ]}
      />
    </figure>
  );
}

/** Means over five steps: single requests would be needles. */
function smooth(amounts: readonly Amounts[]): Amounts[] {
  return amounts.map((_, i) => {
    const some = amounts.slice(Math.max(0, i - 4), i + 1);
    const mean = (key: keyof Amounts) => some.reduce((sum, one) => sum + one[key], 0) / some.length;
    return { received: mean("received"), stored: mean("stored"), changes: mean("changes") };
  });
}

function peakOf(amounts: readonly Amounts[]): number {
  return Math.max(0, ...amounts.map(({ received, stored }) => Math.max(received, stored)));
}

/** What was sent, beside the size of the files that were put by it. */
export function Savings({ activity }: { activity: Activity }) {
  const { received, stored, changes, problems } = activity.totals;
  const saved = stored === 0 ? 0 : Math.max(0, 1 - received / stored);
  const most = Math.max(received, stored, 1);
  return (
    <>
      {stored === 0 ? <Nothing>No file was put since the server started.</Nothing> : (
        <p class="big">
          {(saved * 100).toFixed(saved > 0.99 ? 1 : 0)} %<small>of it did not have to be sent</small>
        </p>
      )}
      <div class="beside">
        <span>files put</span>
        <Bar share={stored / most} label={`Files put: ${formatBytes(stored)}`} />
        <Bytes of={stored} />
        <span>sent for it</span>
        <Bar share={received / most} label={`Sent for it: ${formatBytes(received)}`} />
        <Bytes of={received} />
      </div>
      <Facts
        of={[
          ["changes made", count(changes, "change")],
          ["could not be done", count(problems, "action")],
          ["counted since", <Time at={activity.since} />],
        ]}
      />
      <p class="note">
        Content that is here already, whole or in parts, is not sent again; what is sent is compressed.
      </p>
    </>
  );
}
