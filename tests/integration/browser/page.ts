/** The page of the browser tests: our client, handed to the test by a global. */
import { connect } from "@signal-hub/cloudflare-transport/client"
import { indexedDbPersistence } from "@signal-hub/cloudflare-transport/client/indexeddb"
import { Greeter, greeter } from "../support/Greeter.ts"
import { Ticker, ticker } from "../support/Ticker.ts"

declare const dispatchEvent: (event: Event) => boolean

const wake = (): void => {
  for (const event of ["online", "pageshow", "visibilitychange"]) dispatchEvent(new Event(event))
}

Object.assign(globalThis, {
  inPage: { connect, indexedDbPersistence, Greeter, greeter, Ticker, ticker, wake },
})
