/** Structured logs: one JSON object a line, with `event` in snake_case. */
import type { LogFields, LogLevel } from "../hub/HubHost.ts"

const ORDER: { readonly [level in LogLevel]: number } = { debug: 0, info: 1, warn: 2, error: 3 }

export type Log = (level: LogLevel, event: string, fields: LogFields) => void

/** Whether a log of this threshold has lines of the level `debug`. */
export const logsDebug = (threshold: string | undefined): boolean => threshold === "debug"

/** A log that leaves out what is below `threshold` (by default `info`). */
export const makeLog = (threshold: string | undefined): Log => {
  const least = ORDER[threshold as LogLevel] ?? ORDER.info
  return (level, event, fields) => {
    if (ORDER[level] < least) return
    console[level](JSON.stringify({ level, event, timestamp: new Date().toISOString(), ...fields }))
  }
}
