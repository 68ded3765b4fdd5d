/**
 * Dispatches `hub:*` requests and answers them: with what the handler gives, or with the refusal that
 * it throws. A handler that gives nothing has answered by itself, or has nothing to say.
 */
import type { Envelope } from "@signal-hub/actor-core"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import { isMessageToHub, type MessageToHub, rowOf } from "../protocol/requests.ts"
import { broadcast, send } from "./features/DeliveryRequests.ts"
import type { Incoming } from "./Incoming.ts"
import { Rejection } from "./Rejection.ts"
import { holdPlace, inOrder } from "./ResponseOrder.ts"
import { discover, listActors, register, renew, unregister } from "./features/RegistryRequests.ts"
import { closeConnection, connectionLost } from "./session/Lifecycle.ts"
import { ack, disconnectRequest, heartbeat, metrics, queueStats } from "./session/SessionRequests.ts"
import { presence, publish, subscribe, unsubscribe } from "./features/TopicRequests.ts"
import { refreshToken } from "./session/TokenRequests.ts"
import { unwatch, watch } from "./features/WatchRequests.ts"

/** What a handler answers with. */
export interface Answer {
  readonly payload: unknown
  readonly metadata?: Envelope.Metadata
}

/** An answer that comes later. What follows it is served meanwhile, and answered after it. */
export class Later {
  /** Begins what takes time; `settle` is told once, later, what then gives the answer. */
  readonly begin: (settle: (answer: Handler) => void) => void
  /** Whether all else of the connection waits until then. */
  readonly parks: boolean

  constructor(begin: (settle: (answer: Handler) => void) => void, parks = false) {
    this.begin = begin
    this.parks = parks
  }
}
export type Handler = (request: Incoming) => Answer | Later | undefined

const HANDLERS: { readonly [type in Exclude<MessageToHub, "hub:connect">]: Handler } = {
  "hub:ack": ack,
  "hub:heartbeat": heartbeat,
  "hub:disconnect": disconnectRequest,
  "hub:register": register,
  "hub:unregister": unregister,
  "hub:renew": renew,
  "hub:discover": discover,
  "hub:list_actors": listActors,
  "hub:send": send,
  "hub:broadcast": broadcast,
  "hub:subscribe": subscribe,
  "hub:unsubscribe": unsubscribe,
  "hub:publish": publish,
  "hub:watch": watch,
  "hub:unwatch": unwatch,
  "hub:presence": presence,
  "hub:queue_stats": queueStats,
  "hub:metrics": metrics,
  "hub:refresh_token": refreshToken,
}

const isServed = (type: string): type is keyof typeof HANDLERS => Object.hasOwn(HANDLERS, type)

/** Whether a tell of this type is left without an answer. */
const isAskOnly = (type: string): boolean => isMessageToHub(type) && rowOf(type).isAskOnly === true

export const handleRequest = (request: Incoming): void => {
  const { hub } = request
  const { type } = request.envelope
  const handler = isServed(type) ? (hub.peers?.handlers[type] ?? HANDLERS[type]) : undefined
  if (handler === undefined) {
    const known = type === "hub:connect" ? "invalid_message" : "unknown_type"
    const message =
      known === "unknown_type" ? `the hub has no request "${type}"` : "the session is connected already"
    const refused = new Rejection(known, message)
    return inOrder(request.connection, () => refuse(request, refused))
  }
  respond(request, handler)
}

/** Answers with what the handler gives, or with the refusal that it throws. */
export const respond = (request: Incoming, handler: Handler): void => {
  const { connection, hub } = request
  const outcome = tried(handler, request)
  if (!(outcome instanceof Later)) {
    return inOrder(connection, () => conclude(request, outcome))
  }
  const fill = holdPlace(connection)
  if (outcome.parks) connection.parked = []
  outcome.begin((answer) => {
    const later = { ...request, now: hub.port.now() }
    const settled = tried(answer, later)
    if (settled instanceof Later) throw new Error("an answer may be put off once")
    // Superseded or closed meanwhile: nobody is there to answer.
    const isThere = hub.sessions.of(connection) === request.session
    fill(() => isThere && conclude(later, settled))
    if (outcome.parks) hub.on.unpark(connection)
  })
}

const tried = (handler: Handler, request: Incoming): Answer | Later | Rejection | undefined => {
  try {
    return handler(request)
  } catch (error) {
    if (!(error instanceof Rejection)) throw error
    return error
  }
}

const conclude = (request: Incoming, outcome: Answer | Rejection | undefined): void => {
  if (outcome instanceof Rejection) return refuse(request, outcome)
  const { pattern, type } = request.envelope
  if (outcome !== undefined && (pattern === "ask" || !isAskOnly(type))) reply(request, outcome)
}

const refuse = (request: Incoming, refusal: Rejection): void => {
  const { hub, connection, now } = request
  const { close, code, details, message } = refusal
  hub.reject(request, code, message, details)
  if (close === undefined) return
  closeConnection(hub, connection, close, code)
  connectionLost(hub, connection, code, now)
}

/** Answers a request. The asker may have got its identity from it. */
export const reply = (
  { hub, session, from, envelope, now }: Incoming,
  { payload, metadata }: Answer,
): void => {
  const type = isMessageToHub(envelope.type) ? rowOf(envelope.type).answer : null
  if (type === null) throw new Error(`${envelope.type} has no answer`)
  hub.deliver(session, hubEnvelope(type, from, payload, now, envelope.id, metadata), now)
}
