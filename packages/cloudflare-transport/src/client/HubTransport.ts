/**
 * The client as the transport of an actor system. An ask that the system sends through it ends as any
 * ask does: lost with its connection, or refused by the hub, it is answered by an error envelope.
 */
import {
  AskError,
  AnswerStream,
  TransportError,
  type Address,
  Envelope,
  type Transport,
} from "@signal-hub/actor-core/vocabulary"
import * as Effect from "effect/Effect"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { DEFAULT_ASK_TIMEOUT } from "../protocol/Limits.ts"
import { watchActor } from "./ActorWatch.ts"
import { SessionLost, type RequestError } from "./ClientError.ts"
import type { Core } from "./Core.ts"
import { message } from "./Message.ts"

/** The transport of a client. */
export const makeHubTransport = (core: Core): Transport => {
  const { channel, timers } = core
  let receiver: ((envelope: Envelope.Envelope) => void) | undefined

  const fail = (ask: Envelope.Envelope, error: RequestError): void => {
    const code =
      error instanceof AskError.AskTimeout
        ? "timeout"
        : error instanceof TransportError
          ? error.reason
          : error instanceof SessionLost
            ? "session_lost"
            : "connection_lost"
    const payload = { code, message: error.message, retryable: true, details: {} }
    const to = ask.from === "" ? HUB_ADDRESS : ask.from
    receiver?.({
      ...message("tell", to, "hub:error", payload, timers.now(), { from: HUB_ADDRESS }, ask.id),
    })
  }

  const send = (envelope: Envelope.Envelope): TransportError | undefined => {
    const isAsk = envelope.pattern === "ask"
    let isReliable = isAsk || envelope.seq !== undefined
    if (envelope.type === "actor:cancel" && envelope.correlationId !== null) {
      // An ask that has not left needs no cancelling elsewhere.
      const known = channel.pending.has(envelope.correlationId)
      const ask = channel.abandon(envelope.correlationId)
      if (ask === undefined && known) return undefined
      isReliable = ask?.reliable === true
    }
    // A stream may be quiet for longer than an ask.
    if (envelope.type === "actor:demand") isReliable = channel.pending.keep(envelope.correlationId)
    const sent = isReliable ? Envelope.reliably(envelope) : envelope
    // A forwarded ask is its asker's: who passes it on awaits no answer.
    if (!isAsk || envelope.metadata.forwardOf !== undefined) return channel.send(sent)
    return channel.ask(sent, envelope.ttl ?? DEFAULT_ASK_TIMEOUT, (outcome) => {
      if ("_tag" in outcome) {
        fail(envelope, outcome)
        return false
      }
      receiver?.(outcome)
      return AnswerStream.isMoreToCome(outcome)
    })
  }

  return {
    guardsAnswers: true,
    send,
    receive: (next) =>
      Effect.suspend(() => {
        receiver = next
        const off = channel.inbox.messages.on(next)
        return Effect.addFinalizer(() =>
          Effect.sync(() => {
            off()
            if (receiver === next) receiver = undefined
          }),
        )
      }),
    watch: (address) => Effect.mapError(watchActor(core, address), refused(`${address} is not watched`)),
    register: (address: Address.Address, options) =>
      core
        .hold("hub:register", { actorAddress: address }, options)
        .pipe(Effect.asVoid, Effect.mapError(refused(`${address} was not registered`))),
  }
}

/** A request that failed, as a transport tells it. */
const refused =
  (what: string) =>
  (error: RequestError): TransportError =>
    error instanceof TransportError
      ? error
      : new TransportError({
          reason: "refused",
          message: `${what}: ${error.message}`,
          ...(error instanceof AskError.AskRefused && { code: error.code }),
        })
