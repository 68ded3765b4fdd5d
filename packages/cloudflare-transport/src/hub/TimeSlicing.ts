/**
 * Requests that take long, done in slices between which others are served. What their sender sends
 * meanwhile waits, so that its requests are answered in order.
 */
import type { Incoming } from "./Incoming.ts"
import { type Answer, reply } from "./Requests.ts"

/** Calls `slice` until it gives the answer. It gives that at once where the first slice is enough. */
export const inSlices = (
  request: Incoming,
  slice: (now: number) => Answer | undefined,
): Answer | undefined => {
  const { hub, connection } = request
  const answer = slice(request.now)
  if (answer !== undefined) return answer
  connection.parked = []
  const rest = (): void => {
    const now = hub.port.now()
    const last = slice(now)
    if (last === undefined) return void hub.port.later(0, rest)
    reply({ ...request, now }, last)
    hub.on.unpark(connection)
  }
  hub.port.later(0, rest)
  return undefined
}
