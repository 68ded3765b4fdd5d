/** What more than one test expects. */
import { expect } from "vitest"
import { fieldsOf, HUB, type Fields, type RawClient, type Received } from "./RawClient.ts"

/** The answer is a `hub:error` of the contract's form, with one of these codes. */
export const expectError = (answer: Received, ...codes: ReadonlyArray<string>): Fields => {
  expect(answer.type, JSON.stringify(answer.payload)).toBe("hub:error")
  expect(answer.from).toBe(HUB)
  expect(answer.pattern).toBe("tell")
  const payload = fieldsOf(answer.payload)
  expect(codes).toContain(payload.code)
  expect(payload).toMatchObject({
    message: expect.stringMatching(/./),
    resolution: expect.stringMatching(/./),
    retryable: expect.any(Boolean),
    details: expect.any(Object),
  })
  return payload
}

/** Nothing is left for `client`, once the hub has seen everything that `after` sent. */
export const expectQuiet = async (client: RawClient, ...after: ReadonlyArray<RawClient>): Promise<void> => {
  for (const other of after) await other.sync()
  expect(await client.rest()).toEqual([])
}
