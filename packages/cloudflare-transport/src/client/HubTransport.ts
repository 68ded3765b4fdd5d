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
import { watchActor } from "./ActorWatch.ts"
import { SessionLost, type RequestError } from "./ClientError.ts"
import type { Core } from "./Core.ts"
import { Emitter } from "./Emitter.ts"
import { message } from "./Message.ts"

/** The transport of a client. */
export const makeHubTransport = (core: Core): Transport => {
  const { channel, timers } = core
  /** Ends of asks. What hears of them is the user's, and may throw. */
  const answers = new Emitter<Envelope.Envelope>()

  const fail = (ask: Envelope.Envelope, error: RequestError): void => {
    const code =
      error instanceof AskError.AskTimeout
        ? "timeout"
        : error instanceof TransportError
          ? error.reason
          : error instanceof SessionLost
            ? "session_lost"
            : "connection_lost"
    const payload = { code, message: error.message, retryable: code !== "undeliverable", details: {} }
    const to = ask.from === "" ? HUB_ADDRESS : ask.from
    answers.emit(message("tell", to, "hub:error", payload, timers.timestamp(), { from: HUB_ADDRESS }, ask.id))
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
    return channel.ask(sent, envelope.ttl ?? core.askTimeout, (outcome) => {
      if ("_tag" in outcome) {
        fail(envelope, outcome)
        return false
      }
      answers.emit(outcome)
      return AnswerStream.isMoreToCome(outcome)
    })
  }

  return {
    guardsAnswers: true,
    send,
    receive: (next) =>
      Effect.suspend(() => {
        const stops = [answers.on(next), channel.inbox.messages.receive(next)]
        return Effect.addFinalizer(() => Effect.sync(() => stops.forEach((stop) => stop())))
      }),
    served: (address) => channel.inbox.messages.offerAgain(address),
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
