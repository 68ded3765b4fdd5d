/**
 * Forwarding over the border: the ask keeps its id, and who gets it answers in the place of who was asked.
 * Where the asker could not hear that answer, since it is of this process or came by another transport,
 * the answer comes through here.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type { ActorCell } from "./ActorCell.ts"
import type { Address } from "./Address.ts"
import * as AskError from "./AskError.ts"
import type { Border } from "./Border.ts"
import type { Answer, Message } from "./Message.ts"
import { fromTransport } from "./RemoteAsk.ts"

export const forward = (
  border: Border,
  from: ActorCell,
  message: Message,
  answer: Answer | null,
  address: Address,
): void => {
  const { protocol, runtime } = from
  if (answer === null) {
    const metadata = { ...message.metadata, forwardOf: (message.id ??= runtime.nextId()) }
    return void border.tell(protocol, address, message, metadata)
  }
  const { remote } = answer
  const ttl = runtime.remaining(message.deadline)
  if (remote !== null && border.transportTo(address) === remote.transport) {
    const { envelope } = remote
    const metadata = { ...envelope.metadata, forwardOf: envelope.id }
    const refusal = remote.transport.send({ ...envelope, to: address, metadata, ttl })
    if (refusal === undefined) remote.letGo()
    else answer.refuse(asPayload(fromTransport(address, refusal)))
    return
  }
  const target = { address, protocol, runtime, sender: from, cell: null }
  border.ask(target, message.name, message.payload, message.metadata, ttl, (exit) => {
    if (Exit.isSuccess(exit)) return answer.succeed(exit.value)
    const error = Cause.squash(exit.cause)
    if (remote !== null && isAskError(error)) answer.refuse(asPayload(error))
    else answer.fail(error)
  })
}

/** Whether it is a failure of the asking, not an actor's own error. */
export const isAskError = (error: unknown): error is AskError.AskError =>
  error instanceof AskError.UnknownActor ||
  error instanceof AskError.ActorTerminated ||
  error instanceof AskError.AskTimeout ||
  error instanceof AskError.ActorFailed ||
  error instanceof AskError.AskRefused

const asPayload = (error: AskError.AskError): AskError.ActorErrorPayload => ({
  code: "code" in error ? error.code : error._tag === "UnknownActor" ? "unknown_actor" : "actor_failed",
  message: error.message,
  retryable: "retryable" in error && error.retryable,
})
