/** The page of the browser tests: our client, handed to the test by a global. */
import { connect } from "@signal-hub/cloudflare-transport/client"
import { Greeter, greeter } from "../support/Greeter.ts"

Object.assign(globalThis, { connect, Greeter, greeter })
