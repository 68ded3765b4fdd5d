/** Judges messages of the hub by the table of what it sends. */
import type { Envelope } from "@signal-hub/actor-core"
import type { Rule } from "../../src/protocol/FieldRules.ts"
import { FROM_HUB, type MessageFromHub } from "../../src/protocol/fromHub.ts"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"

const isKnown = (type: string): type is MessageFromHub => Object.hasOwn(FROM_HUB, type)

/** Throws if the hub itself sends a message that the table doesn't have, or has otherwise. */
export const judgeFromHub = ({ from, payload, type }: Envelope.Envelope): void => {
  if (from !== HUB_ADDRESS || !type.startsWith("hub:")) return
  if (!isKnown(type)) throw new Error(`the hub sent "${type}", which the table does not have`)
  const { answer, notice }: { readonly answer?: Rule; readonly notice?: Rule } = FROM_HUB[type]
  const violations = [answer, notice].flatMap((rule) =>
    rule === undefined ? [] : [rule(payload, "payload", {})],
  )
  if (!violations.includes(undefined)) throw new Error(`the hub sent "${type}": ${violations[0]?.message}`)
}
