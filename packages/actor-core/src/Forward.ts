/**
 * Forwarding over the border: the ask keeps its id, and who gets it answers in the place of who was asked.
 * Where the asker could not hear that answer, since it is of this process or came by another transport,
 * the answer comes through here.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type { ActorCell } from "./ActorCell.ts"
import type { Address } from "./Address.ts"
import { open } from "./ActorStream.ts"
import type { Border } from "./Border.ts"
import type { Answer, Message } from "./Message.ts"
import { messageId } from "./MessageId.ts"
import * as Protocol from "./Protocol.ts"
import { isAskError, payloadOf } from "./RelayedError.ts"
import { fromTransport } from "./RemoteAsk.ts"
import * as TimeLimit from "./TimeLimit.ts"

export const forward = (
  border: Border,
  from: ActorCell,
  message: Message,
  answer: Answer | null,
  address: Address,
): void => {
  const { protocol, runtime } = from
  if (answer === null) {
    const metadata = { ...message.metadata, forwardOf: (message.id ??= messageId()) }
    return void border.tell(protocol, address, message, metadata)
  }
  const { remote } = answer
  const ttl = runtime.remaining(message.deadline)
  if (remote !== null && border.transportTo(address) === remote.transport) {
    const { envelope } = remote
    const metadata = { ...envelope.metadata, forwardOf: envelope.id }
    const refusal = remote.transport.send({ ...envelope, to: address, metadata, ttl })
    if (refusal === undefined) remote.letGo()
    else answer.refuse(payloadOf(fromTransport(address, refusal)))
    return
  }
  const definition = Protocol.find(protocol, message.name)
  const target = { address, protocol, runtime, sender: from, cell: null }
  if (definition?.pattern === "stream") {
    const options = { metadata: message.metadata, timeout: ttl ?? Infinity }
    return answer.succeed(open(target, message.name, message.payload, options))
  }
  const limit = TimeLimit.ofAsk(ttl ?? Infinity)
  border.ask(target, message.name, message.payload, message.metadata, limit, (exit) => {
    if (Exit.isSuccess(exit)) return answer.succeed(exit.value)
    const error = Cause.squash(exit.cause)
    if (remote !== null && isAskError(error)) answer.refuse(payloadOf(error))
    else answer.fail(error)
  })
}
