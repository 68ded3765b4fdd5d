/** An envelope with the fields that a test is not about filled in. */
import type { Address, Envelope } from "@signal-hub/actor-core"

export const envelope = (
  to: Address.Address,
  type: string,
  payload: unknown,
  fields: Partial<Envelope.Envelope> = {},
): Envelope.Envelope => ({
  id: crypto.randomUUID(),
  from: "",
  to,
  type,
  payload,
  pattern: "tell",
  correlationId: null,
  timestamp: 0,
  metadata: {},
  ttl: null,
  signature: null,
  ...fields,
})
