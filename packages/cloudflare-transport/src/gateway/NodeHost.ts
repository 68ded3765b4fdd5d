/** What the core of a topic or of a directory's shard needs from whoever runs it. */
import type { HubHost } from "../hub/HubHost.ts"
import type { Remote } from "./Rpc.ts"

export interface NodeHost
  extends Remote, Pick<HubHost, "sql" | "limits" | "now" | "later" | "log" | "setAlarm"> {
  /** The object's name. */
  readonly name: string
  /** Deletes all that is stored, the tables too. */
  readonly forget: () => void
  /** Runs the task once the event under way was taken whole, before anything else. */
  readonly defer: (task: () => void) => void
}

/**
 * Calls that such an object makes at once: the platform queues what goes beyond 6 connections of one
 * event, and who waits there can't be told from who is slow.
 */
export const MOST_CALLS = 6
