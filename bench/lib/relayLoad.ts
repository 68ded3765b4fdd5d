/** The load of a relay: so many messages on their way from one peer to another, each followed by the next. */
import type { Peer } from "../Subject.ts"
import { makePayload } from "./envelope.ts"
import type { Load } from "./load.ts"

const IN_FLIGHT = 256

/** Keeps 256 messages, or as many as said, on their way from one peer to another. */
export const relayLoad = (from: Peer, to: Peer, inFlight = IN_FLIGHT): Load => {
  let [arrived, running] = [0, false]
  to.onMessage(() => {
    arrived++
    if (running) from.send(to.address, makePayload(arrived))
  })
  return {
    start: () => {
      running = true
      for (let n = 0; n < inFlight; n++) from.send(to.address, makePayload(n))
    },
    stop: () => {
      running = false
    },
    arrived: () => arrived,
  }
}
