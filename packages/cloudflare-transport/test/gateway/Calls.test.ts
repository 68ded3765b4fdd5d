import { describe, expect, it } from "vitest"
import { Calls } from "../../src/delivery/Calls.ts"
import { RoutingTable } from "../../src/delivery/RoutingTable.ts"
import { CallFailed, type Kinds, type MethodOf, type ArgsOf } from "../../src/delivery/Rpc.ts"
import { StorageRejected } from "../../src/object/StorageRejected.ts"
import type { HubEnv } from "../../src/object/HubEnv.ts"
import { callingRuntime } from "../support/callingRuntime.ts"
import { envelope } from "../support/envelope.ts"

/** What the platform throws of an object that runs code without the method. */
const lacks = (method: string): Error =>
  Object.assign(new TypeError(`The RPC receiver does not implement the method "${method}".`), {
    remote: true,
  })

/** As an error comes from another object: without its class. */
const remote = (error: Error): Error => Object.assign(new Error(error.message), { remote: true })

const ADA = "@(user/ada)"

/** Calls an object that fails so; gives what came of it, and what was logged. */
const call = async <K extends keyof Kinds, M extends MethodOf<K>>(
  error: Error,
  kind: K,
  method: M,
  args: ArgsOf<K, M>,
) => {
  const fails = async () => {
    throw error
  }
  const failing = new Proxy({}, { get: () => fails })
  const objects = { getByName: () => failing }
  const env = { SESSION_GATEWAY: objects, TOPIC_HUB: objects, DIRECTORY: objects }
  const logs: Array<string> = []
  const calls = new Calls({
    runtime: callingRuntime({ log: (_, event) => void logs.push(event) }),
    env: env as unknown as HubEnv,
    table: new RoutingTable<HubEnv>(),
    answer: () => {},
  })
  const result = await new Promise((done) => calls.call(kind, ADA, method, args, false, done))
  return { result, logs }
}

const note = {
  caller: { home: ADA, claims: null },
  deliveries: [{ envelope: envelope(ADA, "note", 1) }],
} as const

describe("a method that the other object lacks", () => {
  it.each([
    ["deliver", [note], [{ status: "refused", code: "unknown_actor" }]],
    ["watch", [ADA, ADA], false],
    ["hasSession", [], true],
  ] as const)(
    "fault 76: %s is not supported, and the caller does without it",
    async (method, args, result) => {
      const came = await call(
        lacks(method),
        "address",
        method,
        args as unknown as ArgsOf<"address", typeof method>,
      )
      if (typeof result === "boolean") expect(came.result).toBe(result)
      else expect(came.result).toMatchObject(result)
      expect(came.logs).toEqual(["call_unsupported"])
    },
  )

  it("fault 76: ends nothing that the object may hold", async () => {
    const { result } = await call(lacks("leases"), "address", "leases", [[ADA]])
    expect(result).toBeInstanceOf(CallFailed)
    expect(result).toMatchObject({
      code: "actor_failed",
      message: expect.stringContaining("does not support leases"),
    })
  })

  it("is another thing than one that a third object lacks", async () => {
    const { logs, result } = await call(lacks("count"), "topic", "apply", [[]])
    expect(result).toMatchObject({ code: "actor_failed", message: `${ADA} failed on it` })
    expect(logs).toEqual([])
  })
})

it("fault 76: an object whose storage is for newer code is called again later, as one that can't be reached", async () => {
  const rejected = StorageRejected.newer({ version: 2, readableFrom: 2 }, { version: 1, readableFrom: 1 })
  const { result } = await call(remote(rejected), "address", "deliver", [note])
  expect(result).toMatchObject({ code: "actor_terminated" })
})
