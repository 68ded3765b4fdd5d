/** A violation told: what happened to the message, and around it to those whom it is about. */
import type { Ledger, Violation } from "./Ledger.ts"

/** Moments before and after a message's own that are told, in milliseconds. */
const AROUND = 500
/** Moments that are told: the first and the last. */
const MOST = 80

export const historyOf = (ledger: Ledger, { rule, message, detail }: Violation): string => {
  if (message === undefined) return `violated: ${rule}: ${detail}`
  const { by, history, kind, n, to } = message
  const from = (history[0]?.at ?? 0) - AROUND
  const until = (history.at(-1)?.at ?? 0) + AROUND
  const around = [...new Set(["", ledger.process(by).identity, to])].flatMap((identity) =>
    (ledger.timelines.get(identity) ?? [])
      .filter(({ at }) => at >= from && at <= until)
      .map(({ at, what }) => ({ at, what: `  ${identity === "" ? "all" : identity}: ${what}` })),
  )
  const all = [...history, ...around].toSorted((a, b) => a.at - b.at)
  const shown =
    all.length <= MOST
      ? all
      : [...all.slice(0, MOST / 2), { at: all[MOST / 2]!.at, what: "…" }, ...all.slice(-MOST / 2)]
  return [
    `violated: ${rule}: ${detail}`,
    `  message ${n} of ${by} to ${to} (${kind}):`,
    ...shown.map(({ at, what }) => `  ${(at / 1_000).toFixed(3).padStart(9)} s  ${what}`),
  ].join("\n")
}
