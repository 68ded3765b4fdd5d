/** A hub whose tokens are no JWT: "ticket ada" is ada's. */
import { makeHub } from "../../src/worker/makeHub.ts"

export const tickets = makeHub({
  verify: async (token) => {
    const name = /^ticket (\w+)$/.exec(token)?.[1]
    if (name === undefined) throw new Error(`${token} is no ticket`)
    return { actorId: `user/${name}` }
  },
})
