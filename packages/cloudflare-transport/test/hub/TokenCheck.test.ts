/** The check of tokens: within its time, and without effect once the core that asked has failed. */
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import type { Authentication } from "../../src/auth/Authentication.ts"
import { type Claims, readClaims } from "../../src/auth/Claims.ts"
import { AuthMisconfigured, TokenRefused } from "../../src/auth/TokenRefused.ts"
import { tokenCheck } from "../../src/hub/session/TokenCheck.ts"
import { ObjectRuntime } from "../../src/object/ObjectRuntime.ts"
import { schemaOf } from "../../src/object/Tables.ts"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import { durableState } from "../support/durableState.ts"
import { NodeSql } from "../support/NodeSql.ts"

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(console, "error").mockImplementation(() => {})
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const newRuntime = () => {
  const runtime = new ObjectRuntime({
    ctx: durableState(new NodeSql()),
    schema: schemaOf(),
    limits: { ...DEFAULT_LIMITS, connectTimeout: 5_000 },
    logLevel: undefined,
    start: () => ({}),
  })
  void runtime.core
  return runtime
}

const checking = (authentication: Authentication) => {
  const runtime = newRuntime()
  const check = tokenCheck(authentication, runtime)!
  const found: Array<Claims | TokenRefused> = []
  check("token", (one) => found.push(one))
  return { runtime, found }
}

const claims = readClaims({ actorId: "user/ada" })
const UNAVAILABLE = { code: "internal_error", message: "tokens can't be verified now" }

it("tells what it found in an event of its own, and lets the object sleep then", async () => {
  const { found, runtime } = checking({ mode: "token", authenticate: async () => claims })
  expect(runtime.isIdle).toBe(false)
  await vi.advanceTimersByTimeAsync(20)
  expect(found).toEqual([claims])
  expect(runtime.isIdle).toBe(true)
})

it("refuses what takes longer than connectTimeout, and what nothing can check", async () => {
  const slow = checking({ mode: "token", authenticate: () => new Promise(() => {}) })
  await vi.advanceTimersByTimeAsync(4_999)
  expect(slow.found).toEqual([])
  await vi.advanceTimersByTimeAsync(21)
  expect(slow.found).toMatchObject([UNAVAILABLE])
  const error = new AuthMisconfigured({ message: "there are no keys" })
  const { found } = checking({ mode: "misconfigured", error })
  await vi.advanceTimersByTimeAsync(20)
  expect(found).toMatchObject([UNAVAILABLE])
})

it("has no effect if the core that asked has failed meanwhile", async () => {
  const { found, runtime } = checking({ mode: "token", authenticate: async () => claims })
  runtime.run(() => {
    throw new Error("the disk is full")
  })
  await vi.advanceTimersByTimeAsync(100)
  expect(found).toEqual([])
})

it("is none where everybody may enter", () => {
  expect(tokenCheck({ mode: "open" }, newRuntime())).toBeNull()
})
