/** Structured logs: one JSON object a line, with `event` in snake_case. */

/** How much a log line matters, least first: `debug`, `info`, `warn`, `error`. */
export type LogLevel = "debug" | "info" | "warn" | "error"

/** Fields of a log line. They never hold a payload, a token or the claims of one. */
export type LogFields = { readonly [field: string]: unknown }

/** Writes a line, unless its level is below the threshold of the log. */
export type Log = (level: LogLevel, event: string, fields: LogFields) => void

const ORDER: { readonly [level in LogLevel]: number } = { debug: 0, info: 1, warn: 2, error: 3 }

/** Returns true if a log with this threshold writes lines of the level `debug`. */
export const logsDebug = (threshold: string | undefined): boolean => threshold === "debug"

/** Makes a log that writes lines of the level `threshold` and above to the console. The default is `info`. */
export const makeLog = (threshold: string | undefined): Log => {
  const least = ORDER[threshold as LogLevel] ?? ORDER.info
  return (level, event, fields) => {
    if (ORDER[level] < least) return
    console[level](JSON.stringify({ level, event, timestamp: new Date().toISOString(), ...fields }))
  }
}
