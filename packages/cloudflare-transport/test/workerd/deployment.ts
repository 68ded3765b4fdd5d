/** The deployment that most tests are of: who can be reached, and by which addresses. */
import { makeGateway } from "../../src/worker/makeGateway.ts"

/** Gateways and hubs, with each kind of route. */
export const gateway = makeGateway<Cloudflare.Env>({
  routes: {
    steward: { namespace: "STEWARD" },
    player: { hub: "lobby" },
    lost: {
      hub: () => {
        throw new Error("secret of the inside")
      },
    },
    room: { namespace: "ROOM" },
    desk: { service: "DESK" },
    account: { namespace: "ACCOUNT" },
    clock: {
      run: ({ type, payload, from }) => {
        if (type === "throw") throw new Error("secret of the inside")
        if (type === "hang") return new Promise(() => {})
        return { type, payload, from }
      },
    },
  },
  identities: ["user", "table", "actor"],
})
