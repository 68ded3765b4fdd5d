/** Requests of clients that may be about somebody at another object: `hub:send`, `hub:watch`, `hub:unwatch`. */
import type { Address } from "@signal-hub/actor-core"
import { readSend, send, sent } from "../features/DeliveryRequests.ts"
import { type Peers, notFound } from "./Peers.ts"
import { likeThat } from "../Outboxes.ts"
import { Rejection } from "../Rejection.ts"
import type { Incoming } from "../Incoming.ts"
import { type Handler, Later } from "../Requests.ts"
import { unknownActor } from "../Router.ts"
import { addWatch, readUnwatch, readWatch, unwatch, watch } from "../features/WatchRequests.ts"
import { addressOf } from "../../session/Session.ts"
import type { HubPeers } from "./HubPeers.ts"
import { CallFailed } from "../../delivery/Rpc.ts"

/** The handlers of requests that may lead to another object. */
export const peerHandlers = (peers: HubPeers): Peers["handlers"] => ({
  "hub:send": sendAnywhere(peers),
  "hub:watch": watchAnywhere(peers),
  "hub:unwatch": unwatchAnywhere(peers),
})

/** Why a call failed, as the refusal of the request that needed it. */
export const rejectionOf = ({ code, message }: CallFailed): Rejection =>
  new Rejection(code === "actor_failed" ? "internal_error" : code, message)

/** Sends on behalf of the sender, and says whether it arrived. */
const sendAnywhere =
  (peers: HubPeers): Handler =>
  (request) => {
    const { hub, envelope, from, now } = request
    const copy = likeThat(readSend(request), envelope)
    if (hub.resolve(copy.to, now) !== undefined || !peers.leads(copy.to)) return send(request)
    rejectUnfound(peers, from)
    if (envelope.pattern === "tell" || copy.seq !== undefined) {
      peers.send(copy, now)
      // What is reliable is stored: should it be refused, that is told, too.
      return copy.seq === undefined || envelope.pattern === "tell" ? undefined : sent(request, now, "queued")
    }
    return new Later((settle) =>
      peers.outbound.deliver({ envelope: copy }, now, (failed) =>
        settle((later) => {
          if (failed === undefined) return sent(later, later.now)
          const { code, message } = failed
          if (code !== "unknown_actor") {
            throw new Rejection(
              code === "actor_failed" || code === "not_subscribed" ? "actor_terminated" : code,
              message,
            )
          }
          return unknown(later, copy.to)
        }),
      ),
    )
  }

const unknown = (request: Incoming, to: Address.Address): undefined => {
  unknownActor(request, to)
  return undefined
}

/** The watch is known here before it is elsewhere: what is told meanwhile is not missed. */
const watchAnywhere =
  (peers: HubPeers): Handler =>
  (request) => {
    const { hub, session, now } = request
    const actorAddress = readWatch(request)
    const isHere = actorAddress === session.identity || hub.registry.holder(actorAddress, now) !== undefined
    if (isHere || !peers.leads(actorAddress)) return watch(request)
    const watcher = addressOf(session)
    rejectUnfound(peers, watcher)
    addWatch(request, actorAddress)
    const watched = watchedBy(watcher, actorAddress)
    peers.watching.set(watched, request)
    return new Later((settle) => {
      const watching = (found: boolean | void | CallFailed): void => {
        // What was asked for since has its own answer.
        const isLast = peers.watching.get(watched) === request
        if (isLast) peers.watching.delete(watched)
        // Whose watch is over already is told of the end next.
        const hasEnded = isLast && found !== true && !hub.watches.remove(actorAddress, session)
        settle(() => {
          if (found instanceof CallFailed && !hasEnded) throw rejectionOf(found)
          return { payload: { actorAddress, registered: found === true || hasEnded } }
        })
      }
      // The gateway of that name first, then the directory, as for all that is sent there.
      peers.control(actorAddress, "watch", [actorAddress, watcher]).whenDone((registered) => {
        if (registered !== false || !peers.port.isIdentity(actorAddress)) watching(registered)
        else peers.watches("watch", actorAddress, watcher).whenDone(watching)
      })
    })
  }

const unwatchAnywhere =
  (peers: HubPeers): Handler =>
  (request) => {
    const watcher = addressOf(request.session)
    const target = readUnwatch(request)
    peers.watching.delete(watchedBy(watcher, target))
    peers.unwatch(watcher, [target])
    return unwatch(request)
  }

const watchedBy = (watcher: Address.Address, target: Address.Address): string => `${watcher} ${target}`

/** Who can't be found from elsewhere could not hear what becomes of it. */
const rejectUnfound = (peers: HubPeers, from: Address.Address): void => {
  if (!peers.isFound(from)) throw new Rejection("forbidden", notFound(from))
}
